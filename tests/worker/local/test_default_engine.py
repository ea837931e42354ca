"""The engine of a `talkingvideo run` that names none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from talkingvideo_worker.local.stage_inputs import default_engine


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TALKINGVIDEO_WEIGHTS", str(tmp_path))
    return tmp_path


def write_config(weights: Path) -> None:
    (weights / "Wan2.1-I2V-14B-480P").mkdir()
    (weights / "Wan2.1-I2V-14B-480P" / "config.json").write_text("{}")


@pytest.mark.model
def test_with_weights_and_a_gpu_it_is_infinitetalk(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(weights)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert default_engine() == "infinitetalk"


@pytest.mark.model
def test_without_a_gpu_it_is_preview(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(weights)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert default_engine() == "preview"


def test_without_weights_it_is_preview_and_torch_is_not_even_imported(weights: Path) -> None:
    code = (
        "import sys; from talkingvideo_worker.local.stage_inputs import default_engine; "
        "assert default_engine() == 'preview' and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
