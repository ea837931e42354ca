"""Links that an author's own pods have put into a volume, before a stage of the project reads or writes there."""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_clients.stores.base import Store
from talkingvideo_clients.stores.factory import open_store


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    folder = tmp_path / "claims" / "store"
    (folder / "inside").mkdir(parents=True)
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What is outside the volume: another one of the pod, its scratch folder, its process's environment."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"canary")
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"frames")
    return path


def store(claim: Path, path: str = "videos") -> Store:
    return open_store(f"pvc://store/{path}", S3Connection(), claim.parent)


LINKS = ["videos", "videos/ns", "videos/ns/deep"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(
    "target", ["{up}/../../outside", "/", "{outside}", "{up}/..", "{up}/inside/../../../outside", "{up}/../store/.."]
)
def test_a_folder_that_is_a_link_out_of_the_volume_is_neither_read_nor_written(
    claim: Path, outside: Path, file: Path, link: str, target: str
) -> None:
    path = claim / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target.format(outside=outside, up=os.path.relpath(claim, path.parent)))
    name = "ns/deep/secret"
    (outside / "ns" / "deep").mkdir(parents=True)
    (outside / "deep").mkdir()
    for act in (
        lambda: store(claim).read(name),
        lambda: store(claim).stat(name),
        lambda: store(claim).get(name, claim.parent / "copy", 1_000),
        lambda: store(claim).put(name, file),
        lambda: store(claim).put_new(name, file),
        lambda: store(claim).delete(name),
        lambda: list(store(claim).list("ns/deep/")),
    ):
        with pytest.raises(StageError, match="leads out of the volume") as refused:
            act()
        assert (refused.value.code, refused.value.retryable) == (ErrorCode.INPUT_VALIDATION, False)
    assert [path.name for path in outside.rglob("*") if path.is_file()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"canary"


@pytest.mark.parametrize("target", ["../../../outside/secret", "/proc/self/environ", "/etc/hostname"])
def test_a_file_that_is_a_link_out_of_the_volume_is_not_read_and_is_replaced_by_a_write(
    claim: Path, outside: Path, file: Path, target: str
) -> None:
    (claim / "videos").mkdir()
    (claim / "videos" / "a.mp4").symlink_to(target)
    for act in (lambda: store(claim).read("a.mp4"), lambda: store(claim).stat("a.mp4")):
        with pytest.raises(StageError, match="leads out of the volume"):
            act()
    assert [listed.name for listed in store(claim).list()] == []
    assert not store(claim).put_new("a.mp4", file)
    store(claim).put("a.mp4", file)
    assert not (claim / "videos" / "a.mp4").is_symlink()
    assert (outside / "secret").read_bytes() == b"canary"


def test_links_inside_the_volume_are_followed(claim: Path, file: Path) -> None:
    (claim / "videos").symlink_to("inside")
    store(claim).put("ns/a.mp4", file)
    assert (claim / "inside" / "ns" / "a.mp4").read_bytes() == b"frames"
    assert store(claim).read("ns/a.mp4") == b"frames"


def test_links_in_a_circle_are_an_error_and_no_end_of_the_process(claim: Path) -> None:
    (claim / "videos").symlink_to("other")
    (claim / "other").symlink_to("videos")
    with pytest.raises(StageError):
        store(claim).read("a")


def test_a_pipe_is_not_waited_for(claim: Path) -> None:
    (claim / "videos").mkdir()
    os.mkfifo(claim / "videos" / "a.mp4")
    with pytest.raises(StageError, match="a pipe"):
        store(claim).read("a.mp4")


def test_a_link_that_is_swapped_in_while_a_file_is_written_leads_nowhere(
    claim: Path, outside: Path, file: Path
) -> None:
    """Somebody replaces the folder with a link and removes it, as fast as possible."""
    folder, ended = claim / "videos", threading.Event()

    def swap() -> None:
        for number in itertools.count():
            with suppress(OSError):
                folder.rename(claim / f"away-{number}")
            with suppress(OSError):
                folder.symlink_to(outside)
                folder.unlink()
            if ended.is_set():
                return

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for number in range(300):
            try:
                store(claim).put(f"{number}.mp4", file)
            except StageError:
                continue
    finally:
        ended.set()
        swapping.join()
    assert [path.name for path in outside.iterdir()] == ["secret"]
