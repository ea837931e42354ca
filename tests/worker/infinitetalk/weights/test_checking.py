"""Weights' folders, checked by headers alone."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.worker.infinitetalk.conftest import SAID, UNSAID
from typer.testing import CliRunner, Result

from talkingvideo_api.effective import PRESET_LORAS
from talkingvideo_api.spec import Preset
from talkingvideo_worker.engines.infinitetalk.weights.checking import check_weights
from talkingvideo_worker.engines.infinitetalk.weights.files import (
    BASE,
    LORAS,
    PICKLED,
    SPEECH_FILES,
    SPEECH_WEIGHTS,
    TOKENIZER_FILES,
    VIDEO_CODEC,
    adapter_of,
)
from talkingvideo_worker.engines.infinitetalk.weights.files import CONFIG as CONFIG_FILE
from talkingvideo_worker.engines.infinitetalk.weights.headers import Shape, adapter_shapes, base_shapes
from talkingvideo_worker.engines.infinitetalk.weights.keys import ADAPTER, rename_weights
from talkingvideo_worker.engines.infinitetalk.weights.keys import BASE as BASE_NAMES
from talkingvideo_worker.engines.infinitetalk.weights.transformer import empty_transformer
from talkingvideo_worker.process.weights_commands import app

CONFIG = SAID | UNSAID
SHARD = BASE / "diffusion_pytorch_model-00001-of-00002.safetensors"
SINGLE = adapter_of(1)


def save(path: Path, shapes: dict[str, Shape]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.zeros(shape, np.float16) for name, shape in shapes.items()}, path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    base = base_shapes(CONFIG)
    for number in (1, 2):
        names = list(base)[number - 1 :: 2]
        save(
            tmp_path / BASE / f"diffusion_pytorch_model-0000{number}-of-00002.safetensors", {n: base[n] for n in names}
        )
    for speakers in (1, 2):
        save(tmp_path / adapter_of(speakers), adapter_shapes(CONFIG))
    save(tmp_path / SPEECH_WEIGHTS, {"masked_spec_embed": (8,)})
    for path in (CONFIG_FILE, *TOKENIZER_FILES, *SPEECH_FILES):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(json.dumps(CONFIG))
    for path in PICKLED:
        with zipfile.ZipFile(tmp_path / path, "w") as archive:
            archive.writestr("data.pkl", b"")
    return tmp_path


def problems(folder: Path) -> dict[str, str]:
    return {str(finding.path): finding.problem for finding in check_weights(folder) if finding.problem}


def test_shapes_are_those_of_the_model() -> None:
    shapes = rename_weights(base_shapes(CONFIG) | adapter_shapes(CONFIG), (*BASE_NAMES, *ADAPTER))
    assert shapes == {name: tuple(value.shape) for name, value in empty_transformer(CONFIG).state_dict().items()}


def test_a_whole_folder_is_good(folder: Path) -> None:
    assert problems(folder) == {}
    assert [finding.weights for finding in check_weights(folder) if finding.path == SINGLE] == [10 + 8 * 2]


def test_an_empty_folder_lacks_every_file(tmp_path: Path) -> None:
    found = problems(tmp_path)
    assert set(found.values()) == {"is missing"}
    assert str(SINGLE) in found


def checked(folder: Path) -> Result:
    return CliRunner().invoke(app, ["check", str(folder)])


def test_files_that_only_some_videos_need_are_listed_without_failing(folder: Path) -> None:
    result = checked(folder)
    assert result.exit_code == 0
    (fusion,) = PRESET_LORAS[Preset.FAST]
    missing = f"missing  loras/{fusion.name}.safetensors, which the preset fast needs"
    assert missing in result.output
    assert "missing  Kokoro-82M/kokoro-v1_0.pth, without which espeak-ng speaks texts" in result.output
    assert "talkingvideo weights fetch" in result.output
    save(folder / LORAS / f"{fusion.name}.safetensors", {"x": (1,)})
    assert missing not in checked(folder).output


def test_a_missing_file_that_every_video_needs_fails_the_check(folder: Path) -> None:
    (folder / SINGLE).unlink()
    result = checked(folder)
    assert result.exit_code != 0
    assert f"missing  {SINGLE}\n" in result.output


def test_a_shard_is_missing(folder: Path) -> None:
    (folder / SHARD).unlink()
    (problem,) = problems(folder).values()
    assert "lack " in problem
    assert "patch_embedding.weight" in problem


def test_a_weight_has_the_wrong_shape(folder: Path) -> None:
    save(folder / SINGLE, adapter_shapes(CONFIG) | {"audio_proj.norm.bias": (9,)})
    assert problems(folder) == {str(SINGLE): "has the wrong shape for 1 weights (audio_proj.norm.bias)"}


def test_weights_are_missing_and_unknown(folder: Path) -> None:
    shapes = adapter_shapes(CONFIG)
    del shapes["blocks.0.norm_x.bias"]
    save(folder / SINGLE, shapes | {"lora": (1,)})
    problem = "lacks 1 weights (blocks.0.norm_x.bias), has the unknown 1 weights (lora)"
    assert problems(folder) == {str(SINGLE): problem}


@pytest.mark.parametrize("path", [SINGLE, SHARD, VIDEO_CODEC])
def test_a_truncated_file_is_found(folder: Path, path: Path) -> None:
    content = (folder / path).read_bytes()
    (folder / path).write_bytes(content[: len(content) - 30])
    assert "fetch it again" in problems(folder)[str(path)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"version https://git-lfs",
        b"\x05\0\0\0\0\0\0\0[1,2]",
        b"\x02\0\0\0\0\0\0\0{x",
        b'\x2c\0\0\0\0\0\0\0{"a":{"shape":["x"],"data_offsets":[0,0]}}  ',
        b'\x2c\0\0\0\0\0\0\0{"a":{"shape":[1],"data_offsets":[0,"x"]}}  ',
        b"\xa0\x86\x01\0\0\0\0\0" + 100_000 * b"[",
    ],
)
def test_a_file_of_another_kind_is_found(folder: Path, content: bytes) -> None:
    (folder / SINGLE).write_bytes(content)
    assert problems(folder)[str(SINGLE)] in ("is not a safetensors file", "has a broken header")


def test_the_check_needs_no_torch() -> None:
    code = "import sys, talkingvideo_worker.engines.infinitetalk.weights.checking; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
