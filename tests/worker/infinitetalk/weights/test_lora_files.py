"""Files of LoRAs, by names and headers."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from talkingvideo_api.effective import PRESET_LORAS
from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.weights.files import CONFIG, LORAS, PUBLISHED
from talkingvideo_worker.engines.infinitetalk.weights.lora_files import (
    check_loras,
    lora_digest,
    lora_path,
    loras_digest,
)

BASE = {"in_dim": 36, "dim": 24, "ffn_dim": 32, "freq_dim": 16, "out_dim": 16, "num_heads": 1, "num_layers": 2}
MINE = LoraFile("mine", 1.0, field="spec.render.loras[0].name")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / CONFIG).parent.mkdir()
    (tmp_path / CONFIG).write_text(json.dumps(BASE))
    (tmp_path / LORAS).mkdir()
    write(tmp_path, "mine")
    return tmp_path


def write(folder: Path, name: str, key: str = "blocks.1.ffn.0.diff_b", shape: tuple[int, ...] = (32,)) -> Path:
    path = folder / LORAS / f"{name}.safetensors"
    save_file({f"diffusion_model.{key}": np.ones(shape, np.float32)}, path)
    return path


def test_a_good_one_passes(folder: Path) -> None:
    assert check_loras(folder, [MINE]) == []


def test_one_that_does_not_fit_is_refused_by_its_header(folder: Path) -> None:
    write(folder, "mine", shape=(31,))
    with pytest.raises(StageError, match=r"LoRA mine does not fit .*31 instead of 32") as refusal:
        check_loras(folder, [MINE])
    assert refusal.value.code is ErrorCode.PIPELINE_LOAD
    assert refusal.value.field == MINE.field


def test_a_text_to_video_loras_patch_embedding_is_left_out_with_a_warning(folder: Path) -> None:
    tensors = {"patch_embedding.diff": np.ones((24, 16, 1, 2, 2)), "patch_embedding.diff_b": np.ones(24)}
    save_file(tensors, folder / LORAS / "mine.safetensors")
    (progress,) = check_loras(folder, [MINE])
    assert "LoRA mine was made for text-to-video" in progress
    assert "patch_embedding.weight" in progress


@pytest.mark.parametrize("content", [b"", b"\x80\x04 a pickle of something", b"PK\x03\x04"])
def test_a_file_that_is_not_safetensors_is_refused(folder: Path, content: bytes) -> None:
    (folder / LORAS / "mine.safetensors").write_bytes(content)
    with pytest.raises(StageError, match="LoRA mine is not a safetensors file") as refusal:
        check_loras(folder, [MINE])
    assert refusal.value.code is ErrorCode.PIPELINE_LOAD


def described(folder: Path, tensors: dict[str, Any], content: int) -> None:
    """A file with a header that a test has made up."""
    header = json.dumps({f"diffusion_model.blocks.1.ffn.0.{key}": value for key, value in tensors.items()}).encode()
    (folder / LORAS / "mine.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(content))


@pytest.mark.parametrize(
    ("tensors", "content"),
    [
        ({"diff_b": {"dtype": "F32", "shape": [32], "data_offsets": [0, 64]}}, 64),
        ({"diff_b": {"dtype": "F99", "shape": [32], "data_offsets": [0, 128]}}, 128),
        ({"diff_b": {"dtype": "I32", "shape": [32], "data_offsets": [0, 128]}}, 128),
        ({"diff_b": {"shape": [32], "data_offsets": [0, 128]}}, 128),
        ({"diff_b": {"dtype": "F32", "shape": [32], "data_offsets": [64, 128]}}, 128),
    ],
    ids=["less than its shape", "unknown format", "not of weights", "no format", "a hole"],
)
def test_a_file_that_render_could_not_read_is_refused_before_a_gpu_is_requested(
    folder: Path, tensors: dict[str, Any], content: int
) -> None:
    described(folder, tensors, content)
    with pytest.raises(StageError, match="LoRA mine") as refusal:
        check_loras(folder, [MINE])
    assert refusal.value.code is ErrorCode.PIPELINE_LOAD
    assert refusal.value.field == MINE.field
    assert not refusal.value.retryable


def test_a_huge_header_is_not_read(folder: Path) -> None:
    empty = {f"{number:06}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(400_000)}
    described(folder, empty, 0)
    tracemalloc.start()
    try:
        with pytest.raises(StageError, match="LoRA mine is not a safetensors file"):
            check_loras(folder, [MINE])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10_000_000


def test_an_unknown_name_is_answered_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(
        StageError,
        match=r"The weights have no LoRA 'other'; they have: mine\. Put its file at .*/loras/other\.safetensors, or give its uri",
    ) as refusal:
        check_loras(folder, [LoraFile("other", 1.0, field="spec.render.loras[0].name")])
    assert refusal.value.code is ErrorCode.INPUT_VALIDATION
    assert refusal.value.field == "spec.render.loras[0].name"


def test_a_presets_missing_lora_is_a_failure_of_the_weights(folder: Path) -> None:
    with pytest.raises(StageError) as refusal:
        check_loras(folder, [LoraFile("x", 1.0)])
    assert refusal.value.message == (
        f"The preset needs the LoRA {folder}/loras/x.safetensors, which is missing: put the file there, or run "
        f"`talkingvideo weights fetch {folder} --only loras`. The preset quality needs none."
    )
    assert refusal.value.field == "spec.render.preset"
    assert refusal.value.code is ErrorCode.PIPELINE_LOAD
    assert not refusal.value.retryable


@pytest.mark.parametrize("name", ["../mine", "a/b", "/etc/passwd", "..", "", "loras/mine"])
def test_names_lead_to_no_other_folder(folder: Path, name: str) -> None:
    with pytest.raises(StageError, match="cannot be the name of a LoRA"):
        lora_path(folder, LoraFile(name, 1.0))


def test_the_presets_loras_are_those_that_are_fetched() -> None:
    fetched = {Path(name).stem for row in PUBLISHED if row.folder == LORAS for name in row.files}
    assert {lora.name for loras in PRESET_LORAS.values() for lora in loras} == fetched


def test_a_file_is_identified_by_names_and_content(folder: Path) -> None:
    digest = lora_digest(write(folder, "mine"))
    assert lora_digest(write(folder, "copy")) == digest
    assert lora_digest(write(folder, "mine", key="blocks.0.ffn.0.diff_b")) != digest
    path = write(folder, "mine")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert lora_digest(path) != digest


def test_weights_are_identified_with_their_named_loras(folder: Path) -> None:
    named = ["mine"]
    assert loras_digest(folder, []) == loras_digest(folder, ["absent"])
    digest = loras_digest(folder, named)
    assert digest != loras_digest(folder, [])
    write(folder, "mine", shape=(33,))
    assert loras_digest(folder, named) != digest


def test_the_check_needs_no_torch() -> None:
    code = "import sys, talkingvideo_worker.engines.infinitetalk.weights.lora_files; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
