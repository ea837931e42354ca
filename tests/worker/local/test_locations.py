"""Folders of a local run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.objects import video

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


@pytest.mark.parametrize(
    ("name", "field"), [("face", "spec.source.image.uri"), ("a b", "spec.speech.speakers[0].audio.uri")]
)
def test_a_result_does_not_replace_what_it_is_made_from(tmp_path: Path, name: str, field: str) -> None:
    inputs = {
        "source": {"image": {"uri": (tmp_path / "face.jpg").as_uri()}},
        "speech": {"speakers": [{"audio": {"uri": (tmp_path / "a b.mp4").as_uri()}}]},
    }
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(StageError, match="the result would replace this file") as refused:
        LocalLocations(tmp_path / "link", tmp_path / "work", name).require_apart_from_inputs(video(**inputs))
    assert refused.value.field == field
    LocalLocations(tmp_path / "out", tmp_path / "work", name).require_apart_from_inputs(video(**inputs))


def test_trying_to_write_leaves_nothing_behind(tmp_path: Path) -> None:
    LocalLocations(tmp_path / "out", tmp_path / "work").require_writable()
    assert list((tmp_path / "out").iterdir()) == list((tmp_path / "work").iterdir()) == []
