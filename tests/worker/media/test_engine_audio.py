from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.media.engine_audio import frames_of, write_engine_audio
from talkingvideo_worker.media.wav import count_samples, read_samples

from .conftest import FIELD, Floats, lag, read_wav, speechlike, write_sound, write_video, write_wav

pytestmark = pytest.mark.media


def at_16k(samples: Floats, rate: int) -> Floats:
    """The reference: ideal resampling of a whole signal in the frequency domain."""
    mono = samples.mean(axis=0)
    whole_seconds = -(-len(mono) // rate)
    padded = np.pad(mono, (0, whole_seconds * rate - len(mono)))
    spectrum, kept = np.fft.rfft(padded), np.zeros(8_000 * whole_seconds + 1, complex)
    size = min(len(kept), len(spectrum))
    kept[:size] = spectrum[:size]
    resampled = np.fft.irfft(kept, 16_000 * whole_seconds) * 16_000 / rate
    return resampled[: round(len(mono) * 16_000 / rate)].astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("seconds", [0.0201, 3.2347])
def test_no_sample_is_lost_or_added_at_any_rate(tmp_path: Path, limits: InputLimits, rate: int, seconds: float) -> None:
    samples = speechlike(seconds, rate)
    sound = write_engine_audio(write_wav(tmp_path / "in", samples, rate), tmp_path / "out.wav", limits, FIELD)
    heard, out_rate = read_wav(tmp_path / "out.wav")
    assert (sound.samples_in, sound.rate_in, sound.channels) == (samples.shape[1], rate, 1)
    assert out_rate == 16_000
    assert heard.shape == (1, sound.samples) == (1, int(Fraction(samples.shape[1] * 16_000, rate) + Fraction(1, 2)))
    assert sound.warnings == ()
    if seconds > 1:
        error = heard[0] - at_16k(samples, rate)
        assert np.abs(error[500:-500]).max() < 0.01


EXACT = [
    ("wav", "pcm_s24le"),
    ("wav", "pcm_f32le"),
    ("aiff", "pcm_s16be"),
    ("caf", "pcm_s16be"),
    ("au", "pcm_s16be"),
    ("flac", "flac"),
    ("ogg", "flac"),
    ("ogg", "libopus"),
    ("webm", "libopus"),
    ("matroska", "flac"),
    ("mp3", "libmp3lame"),
    ("mov", "alac"),
    ("avi", "pcm_s16le"),
]
"""Containers that tell exactly where their sound begins and ends."""


@pytest.mark.parametrize(("container", "codec"), EXACT)
def test_the_length_of_an_exact_container_is_kept_to_the_sample(
    tmp_path: Path, limits: InputLimits, container: str, codec: str
) -> None:
    samples = speechlike(3.2347, 48_000)
    path = write_sound(tmp_path / "in", samples, 48_000, container, codec)
    sound = write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert (sound.samples_in, sound.rate_in) == (samples.shape[1], 48_000)
    heard, reference = read_wav(tmp_path / "out.wav")[0][0], at_16k(samples, 48_000)
    assert lag(reference, heard, 0) == 0
    assert lag(reference, heard, len(reference)) == 0


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("clock", ["1000", "48000"])
def test_priming_and_padding_of_an_m4a_are_removed(tmp_path: Path, limits: InputLimits, rate: int, clock: str) -> None:
    samples = speechlike(3.2347, rate)
    path = write_sound(tmp_path / "in", samples, rate, "ipod", "aac", {"movie_timescale": clock})
    sound = write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert abs(sound.samples_in - samples.shape[1]) <= rate // 1000, "as exact as the edit list"
    heard, reference = read_wav(tmp_path / "out.wav")[0][0], at_16k(samples, rate)
    assert lag(reference, heard, 0) == 0
    assert lag(reference, heard, len(reference)) == 0


@pytest.mark.parametrize(
    ("container", "codec", "late"),
    [
        ("adts", "aac", 1024),
        ("mpegts", "aac", 1024),
        ("flv", "aac", 1024),
        ("matroska", "aac", 0),
        ("ogg", "vorbis", 0),
        ("mpeg", "mp2", 481),
        ("asf", "wmav2", None),
        ("w64", "pcm_s16le", 0),
        ("mp4", "libmp3lame", 0),
        ("3gp", "aac", 0),
    ],
)
def test_other_containers_are_as_exact_as_their_metadata(
    tmp_path: Path, limits: InputLimits, container: str, codec: str, late: int | None
) -> None:
    samples = speechlike(3.2347, 44_100, channels=2)
    path = write_sound(tmp_path / "in", samples, 44_100, container, codec)
    sound = write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert 0 <= sound.samples_in - samples.shape[1] + 50 < 4 * 1152
    heard, reference = read_wav(tmp_path / "out.wav")[0][0], at_16k(samples, 44_100)
    if late is not None:
        assert abs(lag(reference, heard, 20_000) - late * 16_000 / 44_100) <= 1


def test_stereo_is_averaged_and_never_clips(tmp_path: Path, limits: InputLimits) -> None:
    tone = 0.9 * np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    both = write_engine_audio(
        write_wav(tmp_path / "in", np.stack([tone, tone]), 16_000), tmp_path / "out.wav", limits, FIELD
    )
    assert both.channels == 2
    assert np.abs(read_wav(tmp_path / "out.wav")[0][0] - tone).max() < 0.001
    write_engine_audio(write_wav(tmp_path / "in", np.stack([tone, -tone]), 16_000), tmp_path / "out.wav", limits, FIELD)
    assert np.abs(read_wav(tmp_path / "out.wav")[0]).max() < 0.001


@pytest.mark.parametrize("channels", [3, 6, 8])
def test_many_channels_are_mixed_down(tmp_path: Path, limits: InputLimits, channels: int) -> None:
    samples = np.repeat(speechlike(1, 16_000, level=0.24), channels, axis=0)
    sound = write_engine_audio(write_wav(tmp_path / "in", samples, 16_000), tmp_path / "out.wav", limits, FIELD)
    assert sound.samples_in == 16_000
    assert sound.channels == 2
    assert str(channels) in sound.warnings[0]
    heard = read_wav(tmp_path / "out.wav")[0][0]
    assert lag(samples[0], heard, 4000) == 0
    assert 0.3 < np.abs(heard).max() < 1


def test_the_sound_of_a_video_starts_when_the_video_does(tmp_path: Path, limits: InputLimits) -> None:
    """The sound track begins half a second after the picture: so does the speech."""
    speech = speechlike(2, 48_000)
    pictures = [np.full((64, 64, 3), 20 * n, np.uint8) for n in range(5)]
    times = [Fraction(n, 5) for n in range(5)]
    path = write_video(tmp_path / "in", pictures, times, "matroska", sound=speech)
    plain = write_engine_audio(path, tmp_path / "plain.wav", limits, FIELD)
    assert abs(plain.duration_seconds - 2) < 0.05
    late = write_video(tmp_path / "in", pictures, times, "matroska", sound=speech, sound_start=Fraction(1, 2))
    sound = write_engine_audio(late, tmp_path / "late.wav", limits, FIELD)
    assert abs(sound.duration_seconds - 2.5) < 0.05
    assert "silence" in sound.warnings[0]
    reference = at_16k(speech, 48_000)
    assert abs(lag(reference, read_wav(tmp_path / "late.wav")[0][0], 8000, reach=9000) - 8000) <= 16


def test_a_pause_in_a_discontinuous_stream_stays_a_pause(tmp_path: Path, limits: InputLimits) -> None:
    speech = speechlike(2, 48_000)
    path = write_sound(tmp_path / "in", speech, 48_000, "webm", "libopus", gap=(48_000, Fraction(3, 2)))
    sound = write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert abs(sound.duration_seconds - 3.5) < 0.03
    reference, heard = at_16k(speech, 48_000), read_wav(tmp_path / "out.wav")[0][0]
    assert lag(reference, heard, 0) == 0
    assert abs(lag(reference, heard, 22_000, reach=26_000) - 24_000) <= 32


def test_sound_beyond_the_limit_is_refused_while_it_is_decoded(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "in", speechlike(2, 16_000), 16_000)
    with pytest.raises(StageError) as caught:
        write_engine_audio(path, tmp_path / "out.wav", InputLimits(seconds=1.5), FIELD)
    assert caught.value.code is ErrorCode.INPUT_VALIDATION
    assert "1.5 seconds" in caught.value.message
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]
    assert write_engine_audio(path, tmp_path / "out.wav", InputLimits(seconds=2), FIELD).samples == 32_000


def test_a_video_without_sound_is_refused(tmp_path: Path, limits: InputLimits) -> None:
    path = write_video(tmp_path / "in", [np.zeros((64, 64, 3), np.uint8)] * 3, [Fraction(n, 25) for n in range(3)])
    with pytest.raises(StageError, match="no sound"):
        write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)


def test_a_sound_without_samples_is_refused(tmp_path: Path, limits: InputLimits) -> None:
    path = write_wav(tmp_path / "in", np.zeros((1, 0), np.float32), 16_000)
    with pytest.raises(StageError) as caught:
        write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert caught.value.code is ErrorCode.INPUT_VALIDATION


@pytest.mark.parametrize(("samples", "rate"), [(1, 48_000), (2, 96_000), (5, 192_000)])
def test_a_sound_of_which_no_sample_remains_is_refused(
    tmp_path: Path, limits: InputLimits, samples: int, rate: int
) -> None:
    wav = write_wav(tmp_path / "in", np.full((1, samples), 0.5, np.float32), rate)
    with pytest.raises(StageError, match="too short") as caught:
        write_engine_audio(wav, tmp_path / "out.wav", limits, FIELD)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INPUT_VALIDATION, FIELD)


def test_little_damage_is_skipped_and_reported(tmp_path: Path, limits: InputLimits) -> None:
    path = write_sound(tmp_path / "in", speechlike(20, 44_100), 44_100, "adts", "aac")
    whole = write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = np.random.default_rng(1).bytes(300)
    path.write_bytes(content)
    sound = write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert whole.warnings == ()
    assert 0 < whole.samples_in - sound.samples_in < 44_100 // 2
    assert "damaged" in sound.warnings[0]


def test_much_damage_is_refused(tmp_path: Path, limits: InputLimits) -> None:
    path = write_sound(tmp_path / "in", speechlike(20, 44_100), 44_100, "ipod", "aac")
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(1)
    for start in range(5000, content.index(b"moov") - 400, 400):
        content[start : start + 200] = random.bytes(200)
    path.write_bytes(content)
    with pytest.raises(StageError, match="packets cannot be decoded") as caught:
        write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert caught.value.code is ErrorCode.INPUT_VALIDATION


def test_a_truncated_file_is_used_up_to_its_end(tmp_path: Path, limits: InputLimits) -> None:
    path = write_sound(tmp_path / "in", speechlike(4, 44_100), 44_100, "flac", "flac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    sound = write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert 44_100 < sound.samples_in < 3 * 44_100


def test_silence_is_reported(tmp_path: Path, limits: InputLimits) -> None:
    sound = write_engine_audio(
        write_wav(tmp_path / "in", np.zeros((1, 8000), np.float32), 8_000), tmp_path / "o.wav", limits, FIELD
    )
    assert sound.warnings == ("The sound is silent.",)


@given(st.integers(1, 10**9), st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]))
def test_frames_are_the_nearest_number_and_halves_count(samples: int, rate: int) -> None:
    frames = frames_of(Fraction(samples, rate))
    assert frames == max(1, (50 * samples + rate) // (2 * rate))
    assert frames >= 1
    assert frames == 1 or abs(frames - Fraction(25 * samples, rate)) <= Fraction(1, 2)


def test_a_part_is_read_without_the_rest(tmp_path: Path) -> None:
    samples = speechlike(1, 16_000)
    path = write_wav(tmp_path / "in.wav", samples, 16_000)
    whole = np.rint(samples[0] * 32767).astype(np.int16)
    assert count_samples(path) == 16_000
    assert np.array_equal(read_samples(path, 640, 1280), whole[640:1920])
    assert np.array_equal(read_samples(path, 15_990, 20), np.pad(whole[15_990:], (0, 10)))
    assert not read_samples(path, 99_999, 7).any()
    with pytest.raises(StageError):
        read_samples(path, -1, 5)


def test_memory_does_not_grow_with_length(tmp_path: Path, limits: InputLimits) -> None:
    """Peak memory of Python's own allocations, numpy's included, for 10 and for 80 seconds."""
    import tracemalloc

    peaks = []
    for seconds in (10, 80):
        path = write_wav(tmp_path / "in", np.tile(speechlike(10, 44_100), (1, seconds // 10)), 44_100)
        tracemalloc.start()
        write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2 + 100_000
