"""Kokoro's own network, small and with random numbers: what it says is noise, how it is spoken is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tracemalloc
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.speech import synthesize
from talkingvideo_worker.speech.kokoro import CONFIG, MODEL, SAMPLE_RATE, load_model, load_voice
from talkingvideo_worker.speech.kokoro import synthesize as synthesize_utterances
from talkingvideo_worker.speech.pronunciation import PARAGRAPH_PAUSE, SENTENCE_PAUSE
from talkingvideo_worker.speech.subprocesses import run_subprocess

pytestmark = [
    pytest.mark.media,
    pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning"),
    pytest.mark.filterwarnings("ignore:dropout option:UserWarning"),
]


@pytest.fixture(scope="module")
def model(kokoro_weights: Path) -> Any:
    torch.set_num_threads(1)
    return load_model(kokoro_weights)


@pytest.fixture(scope="module")
def styles(kokoro_weights: Path) -> Any:
    return load_voice(kokoro_weights, "af_heart")


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, SAMPLE_RATE)
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16)


@pytest.fixture
def kokoro_in_this_process(model: Any, styles: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No start of torch in a process of its own, which takes long; prepare's tests have one."""

    def run(module: str, request: dict[str, Any], timeout: float, failure: ErrorCode) -> dict[str, Any]:
        if module != "kokoro":
            return run_subprocess(module, request, timeout, failure)
        return synthesize_utterances(model, styles, request["utterances"], Path(request["out"]))

    monkeypatch.setattr(sys.modules[synthesize.__module__], "run_subprocess", run)


@pytest.mark.usefixtures("kokoro_in_this_process")
def test_kokoro_speaks_the_text_with_sounds_at_their_times_and_pauses_between(
    kokoro_weights: Path, tmp_path: Path
) -> None:
    speech = synthesize("Mama, beef.\n\nShoe.", None, tmp_path / "a.wav", kokoro_weights)
    heard = samples(tmp_path / "a.wav")
    assert (speech.warnings, speech.sample_rate) == ((), SAMPLE_RATE)
    assert len(heard) / SAMPLE_RATE == pytest.approx(speech.duration)
    starts, sounds = zip(*speech.phonemes, strict=True)
    assert sounds == ("m", "A", "m", "@", "_:", "b", "i", "f", "_:", "S", "u", "_:")
    assert list(starts) == sorted(starts)
    assert starts[0] > 0
    assert starts[-1] < speech.duration
    silent = round(PARAGRAPH_PAUSE * SAMPLE_RATE)
    assert not heard[-silent:].any()
    assert heard[: -silent - 1].any()
    begin = round(starts[8] * SAMPLE_RATE)
    between = heard[begin : round(starts[9] * SAMPLE_RATE)]
    assert longest_silence(between) >= silent


def longest_silence(heard: np.ndarray) -> int:
    """Samples of the longest stretch of zeros."""
    edges = np.flatnonzero(np.concatenate(([True], heard != 0, [True])))
    return int(np.diff(edges).max()) - 1


def test_a_sentence_sounds_the_same_again_and_whatever_is_around_it(model: Any, styles: Any, tmp_path: Path) -> None:
    one, two = ("həlˈO wˈɜɹld.", SENTENCE_PAUSE), ("ɡˈʊd bˈI.", 0.0)
    alone = synthesize_utterances(model, styles, [two], tmp_path / "alone.wav")
    for name in ("a.wav", "b.wav"):
        synthesize_utterances(model, styles, [one, two], tmp_path / name)
    assert np.array_equal(samples(tmp_path / "a.wav"), samples(tmp_path / "b.wav"))
    assert np.array_equal(samples(tmp_path / "a.wav")[-alone["samples"] :], samples(tmp_path / "alone.wav"))
    assert np.std(samples(tmp_path / "alone.wav")) > 10


def test_a_voice_and_its_length_decide_the_sound(model: Any, styles: Any, kokoro_weights: Path, tmp_path: Path) -> None:
    said = [("ɡˈʊd bˈI.", 0.0)]
    synthesize_utterances(model, styles, said, tmp_path / "a.wav")
    synthesize_utterances(model, load_voice(kokoro_weights, "bm_george"), said, tmp_path / "b.wav")
    changed = styles.clone()
    changed[len(said[0][0]) - 1] += 1
    synthesize_utterances(model, changed, said, tmp_path / "c.wav")
    first, other, style = (samples(tmp_path / f"{name}.wav") for name in "abc")
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, style)


def test_symbols_that_it_never_learnt_are_passed_over(model: Any, styles: Any, tmp_path: Path) -> None:
    response = synthesize_utterances(model, styles, [("ɡˈ§ʊd", 0.0), ("§", 0.5)], tmp_path / "a.wav")
    assert [symbol for _, symbol in response["phonemes"]] == list("ɡˈʊd")
    assert response["samples"] == len(samples(tmp_path / "a.wav"))


def test_memory_does_not_grow_with_the_length_of_a_text(model: Any, styles: Any, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        response = synthesize_utterances(model, styles, [("ɡˈʊd.", 60.0)] * 12, tmp_path / "a.wav")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 2 * response["samples"] > 30_000_000
    assert most < 10_000_000


def test_weights_that_lack_a_tensor_are_refused(kokoro_weights: Path, tmp_path: Path) -> None:
    """The package itself would go on with random numbers."""
    held = torch.load(kokoro_weights / MODEL, weights_only=True, mmap=True)
    del held["predictor"]["module.F0_proj.weight"]
    torch.save(held, tmp_path / MODEL)
    shutil.copy(kokoro_weights / CONFIG, tmp_path)
    with pytest.raises(RuntimeError, match=r"lacks 1 tensors of predictor, such as F0_proj\.weight"):
        load_model(tmp_path)


def test_where_torch_is_there_is_neither_espeak_nor_what_would_load_it(model: Any) -> None:
    assert {"misaki", "spacy", "phonemizer"}.isdisjoint(sys.modules)
    assert "espeak" not in Path("/proc/self/maps").read_text()


def test_who_asks_for_speech_loads_no_torch() -> None:
    program = (
        "import sys; from talkingvideo_worker.speech import synthesize, kokoro;"
        "assert not {'torch', 'transformers', 'kokoro'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_process_that_fails_says_why_with_the_code_of_its_kind() -> None:
    with pytest.raises(StageError, match="KeyError: 'weights'") as failed:
        run_subprocess("kokoro", {}, 60, ErrorCode.PIPELINE_LOAD)
    assert failed.value.code is ErrorCode.PIPELINE_LOAD


def test_without_its_weights_espeak_speaks_and_says_so(tmp_path: Path) -> None:
    speech = synthesize("Hello.", "bm_george", tmp_path / "a.wav", tmp_path / "nowhere")
    assert speech.warnings == (
        "espeak-ng (en-gb) spoke the text: bm_george is a voice of Kokoro, whose weights are missing.",
    )
    assert speech.phonemes == synthesize("Hello.", "en-gb", tmp_path / "b.wav").phonemes


def test_a_voice_is_no_way_to_a_file(tmp_path: Path) -> None:
    """espeak-ng would read a stranger's recording as the description of a voice."""
    (tmp_path / "evil").write_text("name evil\nlanguage en\n")
    with pytest.raises(StageError, match="There is no voice") as refused:
        synthesize("Hello.", "../" * 12 + str(tmp_path / "evil")[1:], tmp_path / "a.wav")
    assert refused.value.code is ErrorCode.INPUT_VALIDATION


def test_an_unknown_voice_is_refused_with_kokoros_among_those_there_are(kokoro_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no voice 'af_hart'.*af_heart.*en-us") as refused:
        synthesize("Hello.", "af_hart", tmp_path / "a.wav", kokoro_weights)
    assert refused.value.code is ErrorCode.INPUT_VALIDATION
