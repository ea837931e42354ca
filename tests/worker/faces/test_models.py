from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.faces import models
from talkingvideo_worker.faces.models import FULL_RANGE, MESH, SHORT_RANGE


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copied = tmp_path / "networks"
    shutil.copytree(models.NETWORKS, copied)
    monkeypatch.setattr(models, "NETWORKS", copied)
    return copied


@pytest.mark.parametrize("name", [SHORT_RANGE, FULL_RANGE, MESH])
def test_the_installed_networks_are_whole(name: str) -> None:
    assert models.model.__wrapped__(name).side > 0


def test_chunk_keys_of_earlier_releases_stay_valid() -> None:
    assert models.models_digest() == "3e2e2d90a9df970baf71b8c8e1ad466f7f4125773c4cdae5f9d1a1ccd669fc47"


def test_a_missing_network_is_named(networks: Path) -> None:
    (networks / MESH).unlink()
    with pytest.raises(StageError, match=f"{MESH} is missing") as refused:
        models.model.__wrapped__(MESH)
    assert refused.value.code is ErrorCode.PIPELINE_LOAD


def test_a_damaged_network_is_refused(networks: Path) -> None:
    (networks / SHORT_RANGE).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(StageError, match=f"{SHORT_RANGE} is damaged") as refused:
        models.model.__wrapped__(SHORT_RANGE)
    assert refused.value.code is ErrorCode.PIPELINE_LOAD
