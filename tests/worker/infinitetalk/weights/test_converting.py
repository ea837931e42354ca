"""Converted copies: equal to their sources, written once, and not used when they are stale."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tests.worker.infinitetalk.tiny_weights import write_tiny_weights
from torch import nn

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.loading import load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode
from talkingvideo_worker.engines.infinitetalk.weights import converting
from talkingvideo_worker.engines.infinitetalk.weights.converted import CONVERTED, NetworkFiles, network_files
from talkingvideo_worker.engines.infinitetalk.weights.converting import convert_weights
from talkingvideo_worker.engines.infinitetalk.weights.encoders import (
    load_image_encoder,
    load_text_encoder,
    load_video_codec,
)
from talkingvideo_worker.engines.infinitetalk.weights.files import BASE, CONFIG, SHARDS, TEXT_ENCODER, adapter_of

BF16, CPU = torch.bfloat16, torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_tiny_weights(tmp_path)
    monkeypatch.setattr(converting, "SHARD_BYTES", 100_000)
    return tmp_path


def networks(sources: NetworkFiles) -> list[nn.Module]:
    mode = MemoryMode(resident=2, blocks=2)
    return [
        load_transformer(sources.transformer, mode, BF16, CPU)[0],
        load_text_encoder(sources.text_encoder, BF16),
        load_image_encoder(sources.image_encoder, BF16),
        load_video_codec(sources.video_codec, torch.float32),
    ]


def same(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(value, theirs[name]) and value.dtype is theirs[name].dtype for name, value in ours.items()
    )


@pytest.mark.parametrize("speakers", [1, 2])
def test_converted_weights_are_the_published_ones(folder: Path, speakers: int) -> None:
    published = networks(network_files(folder, speakers, BF16))
    made = convert_weights(folder)
    sources = network_files(folder, speakers, BF16)
    files = [file.path for file in sources.transformer.files]
    files += [sources.text_encoder, sources.image_encoder, sources.video_codec]
    assert {path.parent.name for path in files} == {str(CONVERTED)}
    assert len(made) == len(set(made)) > 6
    for ours, theirs in zip(networks(sources), published, strict=True):
        assert same(ours, theirs)


def test_a_finished_file_is_not_written_again(folder: Path) -> None:
    fractions: list[float] = []
    made = convert_weights(folder, lambda fraction, _message: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert convert_weights(folder) == []
    made[1].unlink()
    assert convert_weights(folder) == [made[1]]


def test_an_interrupted_conversion_is_resumed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    write = converting.Conversion.write

    def stopping(conversion: converting.Conversion) -> None:
        if len(written) == 2:
            conversion.target.with_suffix(".partial").write_bytes(b"half")
            raise KeyboardInterrupt
        write(conversion)
        written.append(conversion.target)

    monkeypatch.setattr(converting.Conversion, "write", stopping)
    with pytest.raises(KeyboardInterrupt):
        convert_weights(folder)
    assert BASE.name in str(network_files(folder, 1, BF16).transformer.files[0].path)
    monkeypatch.setattr(converting.Conversion, "write", write)
    assert not set(convert_weights(folder)) & set(written)
    assert not list((folder / CONVERTED).glob("*.partial"))


def test_copies_of_other_weights_are_not_used_and_written_again(folder: Path) -> None:
    convert_weights(folder)
    shard = sorted((folder / BASE).glob(SHARDS))[0]
    weights = load_file(shard)
    changed = {name: value + 1 for name, value in weights.items()}
    save_file(changed, shard)
    assert network_files(folder, 1, BF16).transformer.files[0].path == shard
    made = convert_weights(folder)
    assert {path.name.split("-")[0] for path in made} == {"base"}
    assert network_files(folder, 1, BF16).transformer.files[0].path in made
    save_file(load_file(folder / adapter_of(1)) | {"audio_proj.norm.bias": torch.zeros(16)}, folder / adapter_of(1))
    assert convert_weights(folder) == [folder / CONVERTED / "adapter-single.safetensors"]


def test_for_float32_the_published_files_are_read(folder: Path) -> None:
    convert_weights(folder)
    sources = network_files(folder, 1, torch.float32)
    assert CONVERTED not in [file.path.parent.relative_to(folder) for file in sources.transformer.files]


def test_a_truncated_copy_is_not_used_and_written_again(folder: Path) -> None:
    """As a machine that lost its power, or a full disk under a copy of the folder, leaves it."""
    made = convert_weights(folder)
    for number, path in enumerate(made):
        content = path.read_bytes()
        path.write_bytes(content[: (0, 5, len(content) - 1)[number % 3]])
    sources = network_files(folder, 1, BF16)
    files = [*(file.path for file in sources.transformer.files), sources.text_encoder, sources.video_codec]
    assert CONVERTED not in {path.parent.relative_to(folder) for path in files}
    assert convert_weights(folder) == made


def test_the_published_configuration_applies_not_the_converted_one(folder: Path) -> None:
    """Not everything follows from the weights' shapes."""
    convert_weights(folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"eps": 1e-3}))
    stored = network_files(folder, 1, BF16).transformer
    assert stored.files[0].path.parent == folder / CONVERTED
    assert stored.config["eps"] == 1e-3


def test_published_weights_that_are_missing_are_named(folder: Path) -> None:
    (folder / TEXT_ENCODER).unlink()
    with pytest.raises(StageError, match=TEXT_ENCODER.name) as failed:
        convert_weights(folder)
    assert failed.value.code is ErrorCode.PIPELINE_LOAD


def test_a_disk_without_space_is_reported_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_weights(folder)[0].unlink()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=20_000))
    with pytest.raises(StageError, match="GB more") as failed:
        convert_weights(folder)
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.WORKSPACE, False)


def test_a_disk_that_fills_up_is_reported_and_keeps_no_partial_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_tensors: object, path: Path, _metadata: object) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("Error while serializing: IoError(Os { code: 28, kind: StorageFull })")

    monkeypatch.setattr(converting, "save_file", fill)
    with pytest.raises(StageError, match=r"base-01\.safetensors cannot be written") as failed:
        convert_weights(folder)
    assert failed.value.code is ErrorCode.WORKSPACE
    assert not any((folder / CONVERTED).iterdir())


def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / CONVERTED).write_text("in the way")
    with pytest.raises(StageError, match="converted") as failed:
        convert_weights(folder)
    assert failed.value.code is ErrorCode.WORKSPACE


def test_two_simultaneous_conversions_write_each_file_once(folder: Path) -> None:
    """As two Jobs on one claim do; each would write what the other does, and clear it away."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(convert_weights, [folder, folder])
    assert sorted([*first, *second]) == sorted((folder / CONVERTED).glob("*.safetensors"))
