from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def kokoro_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of random numbers under the published names, with two voices."""
    from tests.worker.speech.tiny_kokoro import write_tiny_kokoro

    return write_tiny_kokoro(tmp_path_factory.mktemp("weights") / "Kokoro-82M", "af_heart", "bm_george")
