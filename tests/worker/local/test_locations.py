"""Folders of a local run."""

from __future__ import annotations

from pathlib import Path

import pytest

from talkingvideo_api.errors import StageError
from talkingvideo_worker.local.locations import LocalLocations, parse_mounts


def test_a_claim_is_a_folder(tmp_path: Path) -> None:
    assert parse_mounts([f"media={tmp_path}"]) == {"media": tmp_path}


@pytest.mark.parametrize("option", ["media", "=.", "media=", "../up=.", "a/b=.", "media=/no/such/folder"])
def test_a_mount_that_is_none_is_repeated_in_the_refusal(option: str) -> None:
    with pytest.raises(StageError, match=f"--mount {option}: "):
        parse_mounts([option])


def test_a_claim_is_mounted_once(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="already"):
        parse_mounts([f"media={tmp_path}", f"media={tmp_path.parent}"])


@pytest.mark.parametrize("option", ["out", "workspace"])
def test_a_folder_that_is_not_writable_is_reported_with_its_option(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").touch()
    folders = {"out": tmp_path / "a", "workspace": tmp_path / "b", option: tmp_path / "file" / "below"}
    locations = LocalLocations(folders["out"], folders["workspace"])
    with pytest.raises(StageError, match=f"--{option} .*the folder is not writable"):
        locations.require_writable()


def test_trying_to_write_leaves_nothing_behind(tmp_path: Path) -> None:
    LocalLocations(tmp_path / "out", tmp_path / "work").require_writable()
    assert list((tmp_path / "out").iterdir()) == list((tmp_path / "work").iterdir()) == []
