import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.media.silence import BLOCK_FRAMES, sound_profile

RATE = 16_000


def write(path: Path, samples: NDArray[np.float64], rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


def tone(seconds: float, db: float) -> NDArray[np.float64]:
    """A sine whose RMS is ``db``."""
    samples: NDArray[np.float64] = (
        np.sqrt(2) * 10 ** (db / 20) * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)
    )
    return samples


def test_a_silence_is_found_to_ten_milliseconds(tmp_path: Path) -> None:
    track = np.concatenate([tone(1.0, -20), tone(0.7, -60), tone(1.0, -20)])
    ((first, end),) = sound_profile(write(tmp_path / "a.wav", track)).silences
    assert abs(first - 16_000) <= 160
    assert abs(end - 27_200) <= 160


def test_a_pause_shorter_than_the_minimum_is_no_silence(tmp_path: Path) -> None:
    wav = write(tmp_path / "a.wav", np.concatenate([tone(1.0, -20), tone(0.4, -60), tone(1.0, -20)]))
    assert sound_profile(wav).silences == ()
    assert len(sound_profile(wav, minimum_seconds=0.3).silences) == 1


def test_the_threshold_decides_what_is_silent(tmp_path: Path) -> None:
    wav = write(tmp_path / "a.wav", np.concatenate([tone(1.0, -20), tone(1.0, -45), tone(1.0, -20)]))
    assert len(sound_profile(wav, threshold_db=-40).silences) == 1
    assert sound_profile(wav, threshold_db=-50).silences == ()


def test_silences_at_both_ends_count(tmp_path: Path) -> None:
    wav = write(tmp_path / "a.wav", np.concatenate([np.zeros(RATE), tone(1.0, -20), np.zeros(RATE)]))
    assert [end - first for first, end in sound_profile(wav).silences] == pytest.approx([RATE, RATE], abs=160)


def test_a_silence_across_two_blocks_is_one(tmp_path: Path) -> None:
    border = BLOCK_FRAMES / 25
    wav = write(tmp_path / "a.wav", np.concatenate([tone(border - 1, -20), tone(2.0, -70), tone(1.0, -20)]))
    ((first, end),) = sound_profile(wav).silences
    assert end - first == pytest.approx(2 * RATE, abs=320)


def test_energy_is_the_loudness_of_each_video_frame(tmp_path: Path) -> None:
    energy = sound_profile(write(tmp_path / "a.wav", np.concatenate([tone(1.0, -20), tone(1.02, -33)]))).energy
    assert len(energy) == 51
    assert energy[:25] == pytest.approx(-20, abs=0.1)
    assert energy[25:50] == pytest.approx(-33, abs=0.1)


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 161, 641])
def test_tiny_tracks_are_measured(tmp_path: Path, samples: int) -> None:
    assert len(sound_profile(write(tmp_path / "a.wav", np.zeros(samples))).energy) == -(-samples // 640)


def test_another_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError) as refused:
        sound_profile(write(tmp_path / "a.wav", np.zeros(100), rate=44_100))
    assert refused.value.code is ErrorCode.INTERNAL


def test_memory_does_not_grow_with_the_track(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from talkingvideo_worker.media.silence import sound_profile;"
        "sound_profile(Path(sys.argv[1])); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def peak(minutes: int) -> int:
        wav = write(tmp_path / f"{minutes}.wav", np.tile(tone(60, -20), minutes))
        done = subprocess.run([sys.executable, "-c", code, str(wav)], check=True, capture_output=True, text=True)
        return int(done.stdout)

    assert peak(30) < peak(1) * 1.1
