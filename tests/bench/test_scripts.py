"""The scripts run as they are called: in a copied tree, without a GPU, with nothing but the engine's packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import loading
import pytest
import torch
from infinitetalk import stored_weights

ROOT = Path(__file__).parents[2]
OTHERS_PACKAGES = {"ai_edge_litert", "av", "cv2", "httpx", "structlog", "typer"}
"""Of the worker, but not of the infinitetalk extra."""

TELLING = """
import atexit, pathlib, sys
atexit.register(lambda: pathlib.Path("imported").write_text(" ".join(sys.modules)))
"""


@pytest.mark.media
def test_gpu_figures_are_not_measured_without_a_gpu(tmp_path: Path) -> None:
    for part in ("bench", "worker/src", "api/src"):
        shutil.copytree(ROOT / part, tmp_path / part)
    (tmp_path / "sitecustomize.py").write_text(TELLING)
    environment = {
        **os.environ,
        "PYTHONPATH": ":".join(str(tmp_path / part) for part in ("worker/src", "api/src", ".")),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "bench/gpu.py", "--quick", "--only", "bf16, resident", "--json", "gpu.json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every part ran" in done.stdout
    assert not OTHERS_PACKAGES & set((tmp_path / "imported").read_text().split())
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert not written["machine"]["measured"]
    assert [row["variant"] for row in written["calls"]] == ["bf16, resident, eager", "bf16, resident, compiled"]
    for row in (*written["calls"], *written["windows"], *written["parts"]):
        assert row["seconds"] is None
    assert not written["products"] and not written["kernels"]


def test_loading_is_measured_for_both_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    narrow = {**stored_weights.NARROW, "dim": 64, "ffn_dim": 96, "num_heads": 2, "text_dim": 64, "image_dim": 64}
    monkeypatch.setattr(stored_weights, "NARROW", narrow)
    stored_weights.write_weights(tmp_path, 1e6)
    rows = {files: loading._measured(tmp_path, files, loading.Cache.WARM) for files in loading.Files}
    for row in rows.values():
        assert row.dd_gb_per_s and row.read_gb_per_s and row.load_gb_per_s
    published, converted = (rows[files].gigabytes for files in loading.Files)
    assert converted == pytest.approx(published / 2, rel=0.1)


def test_the_published_copy_is_about_as_large_as_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = {**stored_weights.NARROW, "dim": 64, "ffn_dim": 96, "num_heads": 2}
    monkeypatch.setattr(stored_weights, "NARROW", narrow)
    stored_weights.write_weights(tmp_path, 60e6)
    assert loading.Files.PUBLISHED.stored(tmp_path).bytes == pytest.approx(60e6, rel=0.02)
