"""Paths of shared volumes and the URIs that they stand for, back and forth."""

from __future__ import annotations

import pytest

from talkingvideo_gateway.http.volumes import Volumes

VOLUMES = Volumes({"/runpod-volume/": "pvc://media/shared/", "/inputs": "pvc://media/inputs"})


@pytest.mark.parametrize("path", ["/runpod-volume/a.mp4", "/runpod-volume/in/ä b.mp4", "/inputs/a%20.wav"])
def test_a_path_is_found_again(path: str) -> None:
    assert VOLUMES.path(VOLUMES.uri(path, "field")) == path


@pytest.mark.parametrize("uri", ["pvc://media/sharedness/a.mp4", "s3://media/shared/a.mp4", "pvc://media/shared"])
def test_another_uri_has_no_path(uri: str) -> None:
    assert VOLUMES.path(uri) is None


def test_a_folder_stands_for_its_uri() -> None:
    assert VOLUMES.folder("/runpod-volume") == "pvc://media/shared"
    assert VOLUMES.folder("/runpod") is None
