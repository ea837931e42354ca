from __future__ import annotations

import importlib.util
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.speech import synthesize


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16)


def test_the_file_holds_what_the_answer_says(tmp_path: Path) -> None:
    speech = synthesize("Hello there, my friend.", "en-us", tmp_path / "a.wav")
    heard = samples(tmp_path / "a.wav")
    assert len(heard) / speech.sample_rate == pytest.approx(speech.duration)
    assert 0.8 < speech.duration < 4
    assert np.abs(heard).max() > 3000


def test_phonemes_come_in_order_with_the_sounds_of_the_words(tmp_path: Path) -> None:
    speech = synthesize("Mama, beef.", "en-us", tmp_path / "a.wav")
    starts = [start for start, _ in speech.phonemes]
    sounds = [mnemonic.strip("',") for _, mnemonic in speech.phonemes]
    assert starts == sorted(starts)
    assert starts[0] >= 0 and starts[-1] <= speech.duration
    assert [sound for sound in sounds if sound in ("m", "b", "f")] == ["m", "m", "b", "f"]


def test_phonemes_of_a_long_text_stay_with_its_sound(tmp_path: Path) -> None:
    """Every sentence ends in a silence: phonemes called pauses must lie in silent sound to the end."""
    speech = synthesize("The moon is blue. " * 60, "en-us", tmp_path / "a.wav")
    heard = samples(tmp_path / "a.wav").astype(float)
    pauses = [start for start, mnemonic in speech.phonemes if mnemonic == "_:"][-20:-1]
    assert speech.duration > 60
    for start in pauses:
        middle = int((start + 0.06) * speech.sample_rate)
        assert np.sqrt(np.square(heard[middle : middle + 400]).mean()) < 300


def test_an_unknown_voice_is_refused_with_voices_there_are(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no voice 'en_XX'.*en-us") as refused:
        synthesize("Hello.", "en_XX", tmp_path / "a.wav")
    assert refused.value.code is ErrorCode.INPUT_VALIDATION
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("voice", ["en", "en-gb", "en-GB", "pt-br", "pt", "zh", "cmn", "English (America)"])
def test_every_language_that_is_listed_can_be_asked_for(tmp_path: Path, voice: str) -> None:
    """espeak-ng's own look-up by name knows files and full names, not languages such as en-gb."""
    assert synthesize("One two three.", voice, tmp_path / "a.wav").duration > 0.3


def test_british_is_not_american(tmp_path: Path) -> None:
    first = synthesize("I can't dance, my father.", "en-gb", tmp_path / "gb.wav").phonemes
    assert first != synthesize("I can't dance, my father.", "en-us", tmp_path / "us.wav").phonemes


@pytest.mark.parametrize("text", ["", "   ", "…!?"])
def test_a_text_without_words_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StageError) as refused:
        synthesize(text, "en-us", tmp_path / "a.wav")
    assert refused.value.code is ErrorCode.INPUT_VALIDATION


def test_other_languages_and_scripts_are_spoken(tmp_path: Path) -> None:
    assert synthesize("Grüß Gott, schöne Welt!", "de", tmp_path / "a.wav").duration > 0.8
    assert synthesize("Καλημέρα κόσμε", "el", tmp_path / "b.wav").duration > 0.5


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[synthesize.__module__]
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(StageError, match=r"talkingvideo-worker\[speech\]") as refused:
        synthesize("Hello.", "en-us", tmp_path / "a.wav")
    assert refused.value.code is ErrorCode.NOT_SUPPORTED


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[synthesize.__module__]
    monkeypatch.setattr(module, "MINIMUM_TIMEOUT", 0.0)
    monkeypatch.setattr(module, "TIMEOUT_PER_CHARACTER", 1e-6)
    with pytest.raises(StageError) as ended:
        synthesize("Hello.", "en-us", tmp_path / "a.wav")
    assert ended.value.code is ErrorCode.TIMEOUT
    assert list(tmp_path.iterdir()) == []


def test_the_library_is_never_loaded_here(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from talkingvideo_worker.speech import synthesize;"
        f"synthesize('Hello.', 'en-us', Path({str(tmp_path / 'a.wav')!r}));"
        "assert 'espeakng_loader' not in sys.modules;"
        "assert 'espeak' not in Path('/proc/self/maps').read_text()"
    )
    assert importlib.util.find_spec("espeakng_loader") is not None
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
