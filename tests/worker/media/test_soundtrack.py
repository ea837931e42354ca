from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from talkingvideo_api.errors import StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_api.spec import Arrangement
from talkingvideo_worker.media.loudness import MODEL_LUFS, Loudness, measure, measure_wav, normalise_loudness
from talkingvideo_worker.media.soundtrack import TimedRecording, encode_soundtrack, soundtrack_rate
from talkingvideo_worker.media.tracks import pad_track, start_times, total_duration

from .conftest import FIELD, Floats, decoded_mono, lag, read_wav, speechlike, write_sound, write_wav

pytestmark = pytest.mark.media


def stated_samples(path: Path) -> int:
    """Length of an m4a's sound as its edit list has it."""
    with av.open(path.as_posix()) as file:
        stream = file.streams.audio[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        assert (stream.start_time, file.start_time) == (0, 0)
        return int(stream.duration * stream.time_base * stream.codec_context.sample_rate)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_recording_is_aligned_to_the_sample_from_start_to_end(
    tmp_path: Path, limits: InputLimits, rate: int, channels: int
) -> None:
    samples = speechlike(7.3471, rate, channels=channels)
    recording = write_wav(tmp_path / "in", samples, rate)
    delivered = encode_soundtrack([TimedRecording(recording, FIELD)], tmp_path / "sound.m4a", limits)
    assert (delivered.rate, delivered.channels, delivered.gain) == (rate, channels, 0)
    assert delivered.samples == samples.shape[1] == stated_samples(tmp_path / "sound.m4a")
    reference, heard = samples.mean(axis=0), decoded_mono(tmp_path / "sound.m4a", rate)
    for place_ in (0, len(reference) // 2, len(reference)):
        assert lag(reference, heard, place_) == 0
    error = heard[: len(reference)] - reference
    assert np.sqrt(np.mean(error**2)) < 0.1 * np.sqrt(np.mean(reference**2))
    assert [entry.name for entry in tmp_path.iterdir() if "part" in entry.name] == []


@pytest.mark.parametrize(("rate", "expected"), [(96_000, 48_000), (88_200, 44_100), (37_800, 44_100), (6_000, 8_000)])
def test_rates_that_aac_does_not_support_are_resampled_without_a_lag(
    tmp_path: Path, limits: InputLimits, rate: int, expected: int
) -> None:
    samples = speechlike(3, rate)
    recording = write_wav(tmp_path / "in", samples, rate)
    delivered = encode_soundtrack([TimedRecording(recording, FIELD)], tmp_path / "sound.m4a", limits)
    assert (delivered.rate, delivered.samples) == (expected, 3 * expected)
    heard = decoded_mono(tmp_path / "sound.m4a", 8_000)
    reference = decoded_mono(recording, 8_000)
    assert lag(reference, heard, 0) == 0
    assert lag(reference, heard, len(reference)) == 0


def test_the_tracks_rate_is_the_highest_of_its_recordings() -> None:
    assert soundtrack_rate([16_000, 44_100]) == 44_100
    assert soundtrack_rate([192_000]) == 48_000
    assert soundtrack_rate([176_400, 8_000]) == 44_100


def test_two_speakers_in_parallel_are_mixed_below_full_scale(tmp_path: Path, limits: InputLimits) -> None:
    one, other = speechlike(4, 48_000, 1, level=0.2), speechlike(2.5, 16_000, 2, channels=2, level=0.2)
    first, second = write_wav(tmp_path / "1", one, 48_000), write_wav(tmp_path / "2", other, 16_000)
    delivered = encode_soundtrack(
        [TimedRecording(first, FIELD), TimedRecording(second, FIELD)], tmp_path / "sound.m4a", limits
    )
    assert (delivered.rate, delivered.channels, delivered.samples) == (48_000, 2, 4 * 48_000)
    heard = decoded_mono(tmp_path / "sound.m4a", 48_000)
    second_at_48k = decoded_mono(second, 48_000)
    wanted = one[0].copy()
    wanted[: len(second_at_48k)] += second_at_48k
    assert lag(wanted, heard, 0) == lag(wanted, heard, 100_000) == lag(wanted, heard, len(wanted)) == 0
    assert lag(one[0], heard, len(wanted)) == 0
    assert np.abs(heard).max() <= 1.05


def test_a_loud_mix_is_limited_not_clipped(tmp_path: Path, limits: InputLimits) -> None:
    tone = (0.8 * np.sin(np.arange(96_000) * 0.05)).astype(np.float32)[None]
    first, second = write_wav(tmp_path / "1", tone, 48_000), write_wav(tmp_path / "2", tone, 48_000)
    encode_soundtrack([TimedRecording(first, FIELD), TimedRecording(second, FIELD)], tmp_path / "sound.m4a", limits)
    heard = decoded_mono(tmp_path / "sound.m4a", 48_000)[20_000:70_000]
    assert 0.8 < np.abs(heard).max() < 0.95
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    third = spectrum[round(3 * 0.05 / (2 * np.pi) * len(heard))]
    assert third < 0.02 * spectrum.max(), "no square wave"


def test_two_speakers_in_sequence_follow_each_other_to_the_sample(tmp_path: Path, limits: InputLimits) -> None:
    one, other = speechlike(2.00013, 44_100, 1), speechlike(1.5, 44_100, 2)
    first, second = write_wav(tmp_path / "1", one, 44_100), write_wav(tmp_path / "2", other, 44_100)
    begins = start_times(Arrangement.SEQUENTIAL, [Fraction(one.shape[1], 44_100), Fraction(other.shape[1], 44_100)])
    sounds = [TimedRecording(path, FIELD, begin) for path, begin in zip((first, second), begins, strict=True)]
    delivered = encode_soundtrack(sounds, tmp_path / "sound.m4a", limits)
    wanted = np.concatenate([one[0], other[0]])
    assert delivered.samples == len(wanted)
    heard = decoded_mono(tmp_path / "sound.m4a", 44_100)
    assert lag(wanted, heard, one.shape[1] - 4000) == 0
    assert lag(wanted, heard, len(wanted)) == 0


@pytest.mark.parametrize("seconds", [Fraction(81, 25), Fraction(6)])
def test_a_track_of_a_given_length_is_cut_or_padded(tmp_path: Path, limits: InputLimits, seconds: Fraction) -> None:
    samples = speechlike(5, 22_050)
    recording = TimedRecording(write_wav(tmp_path / "in", samples, 22_050), FIELD)
    delivered = encode_soundtrack([recording], tmp_path / "sound.m4a", limits, seconds=seconds)
    assert delivered.samples == stated_samples(tmp_path / "sound.m4a") == round(seconds * 22_050)
    heard = decoded_mono(tmp_path / "sound.m4a", 22_050)
    assert lag(samples[0], heard, 60_000) == 0
    assert np.abs(heard[5 * 22_050 + 3000 :]).max(initial=0) < 0.01


def test_a_target_loudness_is_reached_by_one_gain(tmp_path: Path, limits: InputLimits) -> None:
    samples = speechlike(8, 44_100, channels=2, level=0.02)
    recording = write_wav(tmp_path / "in", samples, 44_100)
    delivered = encode_soundtrack([TimedRecording(recording, FIELD)], tmp_path / "sound.m4a", limits, target_lufs=-23)
    heard = decoded_mono(tmp_path / "sound.m4a", 44_100)
    assert lag(samples.mean(axis=0), heard, 100_000) == 0
    with av.open((tmp_path / "sound.m4a").as_posix()) as file:
        decoded = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1).astype(np.float32)
    assert measure([decoded], 44_100, 2).integrated == pytest.approx(-23, abs=0.2)
    assert delivered.gain > 3


def test_a_target_loudness_never_lifts_peaks_over_the_ceiling() -> None:
    assert Loudness(-30, -3).gain_to(-16) == pytest.approx(2)
    assert Loudness(-30, -20).gain_to(-16) == pytest.approx(14)
    assert Loudness(-10, 2).gain_to(-16) == pytest.approx(-6)
    assert Loudness(-10, 2).gain_to(-9) == pytest.approx(-3)
    assert Loudness(None, -3).gain_to(-16) == 0


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_loudness_matches_the_reference_signal_of_the_standard(rate: int) -> None:
    """EBU Tech 3341, test 1: a 1 kHz stereo sine of -23 dBFS measures -23 LUFS; one channel alone 3 LU less."""
    tone = 10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * np.arange(20 * rate) / rate)
    both = np.stack([tone, tone]).astype(np.float32)
    assert measure(np.array_split(both, 50, axis=1), rate, 2).integrated == pytest.approx(-23, abs=0.1)
    assert measure([both[:1]], rate, 1).integrated == pytest.approx(-26.01, abs=0.1)
    assert measure([both], rate, 2).true_peak == pytest.approx(-23, abs=0.2)


def test_true_peaks_between_samples_are_seen() -> None:
    """EBU Tech 3341, test 16: a quarter of the sampling rate at 45 degrees peaks 3 dB above its samples."""
    tone = 0.5 * np.hanning(48_000) * np.sin(np.pi / 2 * np.arange(48_000) + np.pi / 4)
    assert measure([tone[None].astype(np.float32)], 48_000, 1).true_peak == pytest.approx(-6.02, abs=0.4)


@pytest.mark.parametrize("samples", [np.zeros((1, 32_000)), np.full((1, 3000), 0.5), np.full((1, 32_000), 1e-5)])
def test_silence_and_clips_too_short_to_measure_have_no_loudness_and_are_left_alone(
    tmp_path: Path, samples: Floats
) -> None:
    path = write_wav(tmp_path / "in.wav", samples.astype(np.float32), 16_000)
    assert measure_wav(path).integrated is None
    assert normalise_loudness(path, tmp_path / "out.wav").gain_to(MODEL_LUFS) == 0
    assert np.array_equal(read_wav(path)[0], read_wav(tmp_path / "out.wav")[0])


@pytest.mark.parametrize("level", [0.005, 0.05, 0.25])
def test_engine_audio_has_the_loudness_of_the_model(tmp_path: Path, level: float) -> None:
    path = write_wav(tmp_path / "in.wav", speechlike(6, 16_000, level=level), 16_000)
    gain = normalise_loudness(path, tmp_path / "out.wav").gain_to(MODEL_LUFS)
    before, after = measure_wav(path).integrated, measure_wav(tmp_path / "out.wav").integrated
    assert before is not None
    assert after is not None
    assert after == pytest.approx(-23, abs=0.1)
    assert gain == pytest.approx(-23 - before)
    assert read_wav(tmp_path / "out.wav")[0].shape == read_wav(path)[0].shape


def test_speakers_in_sequence_start_where_the_previous_one_ends() -> None:
    durations = [Fraction(5, 3), Fraction(2), Fraction(1, 7)]
    assert start_times(Arrangement.SEQUENTIAL, durations) == (Fraction(0), Fraction(5, 3), Fraction(11, 3))
    assert start_times(Arrangement.PARALLEL, durations) == (Fraction(0),) * 3
    assert total_duration(Arrangement.SEQUENTIAL, durations) == sum(durations)
    assert total_duration(Arrangement.PARALLEL, durations) == 2


def test_a_speakers_track_covers_the_whole_video(tmp_path: Path) -> None:
    samples = speechlike(1, 16_000)
    path = write_wav(tmp_path / "in.wav", samples, 16_000)
    pad_track(path, tmp_path / "track.wav", Fraction(5, 3), Fraction(10))
    track = read_wav(tmp_path / "track.wav")[0][0]
    assert len(track) == 160_000
    assert np.array_equal(track[26_667 : 26_667 + 16_000], read_wav(path)[0][0])
    assert not track[:26_667].any()
    assert not track[26_667 + 16_000 :].any()


def test_a_recording_that_cannot_be_read_leaves_no_track(tmp_path: Path, limits: InputLimits) -> None:
    good = write_wav(tmp_path / "1", speechlike(2, 16_000), 16_000)
    (tmp_path / "2").write_bytes(b"no sound")
    with pytest.raises(StageError) as caught:
        encode_soundtrack(
            [TimedRecording(good, FIELD), TimedRecording(tmp_path / "2", "spec.other")], tmp_path / "sound.m4a", limits
        )
    assert caught.value.field == "spec.other"
    with pytest.raises(StageError):
        encode_soundtrack([TimedRecording(good, FIELD)], tmp_path / "sound.m4a", InputLimits(seconds=1))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["1", "2"]


def test_the_soundtrack_is_aligned_with_the_engine_audio(tmp_path: Path, limits: InputLimits) -> None:
    """Both come from one decoder: also a format that cannot state its priming keeps lips and sound together."""
    from talkingvideo_worker.media.engine_audio import write_engine_audio

    recording = write_sound(tmp_path / "in", speechlike(4, 44_100), 44_100, "adts", "aac")
    sound = write_engine_audio(recording, tmp_path / "model.wav", limits, FIELD)
    delivered = encode_soundtrack([TimedRecording(recording, FIELD)], tmp_path / "sound.m4a", limits)
    assert delivered.samples == sound.samples_in
    model, heard = read_wav(tmp_path / "model.wav")[0][0], decoded_mono(tmp_path / "sound.m4a", 16_000)
    assert lag(model, heard, 0) == lag(model, heard, len(model)) == 0
