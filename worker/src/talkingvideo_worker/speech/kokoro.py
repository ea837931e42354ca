"""The process that runs Kokoro: ``python -m talkingvideo_worker.speech.kokoro``.

The request on standard input is JSON: ``{"weights", "voice", "out", "utterances": [[symbols, pause in seconds], …]}``. The
WAV is written utterance by utterance; the response is ``{"sampleRate", "samples", "phonemes": [[first sample, symbol], …]}``.

Only the model of the package ``kokoro`` is used. Its ``__init__`` would import misaki, which would load espeak-ng (GPL-3)
into this process and download a spaCy model.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
import wave
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

CONFIG, MODEL, VOICES = "config.json", "kokoro-v1_0.pth", "voices"
"""Names of files in the published repository."""

SAMPLE_RATE = 24_000

SEED = 0
"""Seed of the noise in unvoiced sounds: a sentence always sounds the same, whatever precedes or follows it."""

THREADS = 2
"""The usual CPU limit of prepare's pods. More threads would wait for each other there, and another number of threads adds up
floating-point numbers in another order."""

UNUSED_PREFIX = "pooler."
"""A part of ALBERT that Kokoro does not use; some copies of the weights omit it."""


def main() -> None:
    """Handle the request on standard input."""
    request = json.load(sys.stdin)
    weights = Path(request["weights"])
    _make_deterministic()
    model, styles = load_model(weights), load_voice(weights, request["voice"])
    json.dump(synthesize(model, styles, request["utterances"], Path(request["out"])), sys.stdout)


def _make_deterministic() -> None:
    import torch

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)


def synthesize(model: Any, styles: Any, utterances: Sequence[tuple[str, float]], out: Path) -> dict[str, Any]:
    """Write a WAV, utterance by utterance.

    Args:
        model: Returned by `load_model`.
        styles: Returned by `load_voice`.
        utterances: Symbols, and the seconds of silence after them.
        out: The file to write.

    Returns:
        The response of the process.
    """
    import torch

    phonemes: list[tuple[int, str]] = []
    with wave.open(str(out), "wb") as sound:
        sound.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        for text, pause in utterances:
            symbols = "".join(symbol for symbol in text if symbol in model.vocab)
            if symbols:
                torch.manual_seed(SEED)
                style = styles[min(len(symbols), len(styles)) - 1]
                output = model(symbols, style, return_output=True)
                phonemes += _timed(symbols, output, sound.tell())
                samples = (output.audio.clamp(-1, 1) * 32_767).round().to(torch.int16).numpy()
                sound.writeframes(samples.astype("<i2").tobytes())
            sound.writeframes(bytes(2 * round(pause * SAMPLE_RATE)))
        return {"sampleRate": SAMPLE_RATE, "samples": sound.tell(), "phonemes": phonemes}


def load_voice(weights: Path, voice: str) -> Any:
    """The style vectors of a voice for utterances of 1, 2, … symbols: (lengths, 1, 256)."""
    import torch

    return torch.load(weights / VOICES / f"{voice}.pt", map_location="cpu", weights_only=True)


def load_model(weights: Path) -> Any:
    """Load the network in evaluation mode.

    Raises:
        RuntimeError: The package or a tensor is missing.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_class()(repo_id=weights.name, config=str(weights / CONFIG), model=str(weights / MODEL)).eval()
    held = torch.load(weights / MODEL, map_location="cpu", weights_only=True, mmap=True)
    for part, network in model.named_children():
        names = {name.removeprefix("module.") for name in held.get(part, {})}
        missing = [name for name in network.state_dict() if name not in names and not name.startswith(UNUSED_PREFIX)]
        if missing:  # the package itself would continue with random numbers
            raise RuntimeError(f"{MODEL} lacks {len(missing)} tensors of {part}, such as {missing[0]}")
    return model


def model_class() -> Any:
    """The package's ``KModel``, without the rest of the package."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    found = find_spec("kokoro")
    if found is None or found.submodule_search_locations is None:
        raise RuntimeError("the package kokoro is not installed")
    bare = ModuleSpec("kokoro", None, is_package=True)
    bare.submodule_search_locations = found.submodule_search_locations
    sys.modules["kokoro"] = module_from_spec(bare)
    from kokoro.model import KModel
    from loguru import logger

    logger.disable("kokoro")
    return KModel


def _timed(symbols: str, output: Any, start: int) -> list[tuple[int, str]]:
    """The first sample of each symbol. The model's durations are those of a silence, of each symbol, and of a last silence."""
    durations = output.pred_dur.tolist()
    hop = len(output.audio) / sum(durations)
    timed, units = [], durations[0]
    for symbol, duration in zip(symbols, durations[1:], strict=False):
        timed.append((start + round(units * hop), symbol))
        units += duration
    return timed


if __name__ == "__main__":
    main()
