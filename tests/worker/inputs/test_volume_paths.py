"""Paths in volumes that strangers write to: no path, no link and no race leads to what lies outside."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.inputs.policy import FetchPolicy

FIELD = "spec.speech.speakers[0].audio.uri"
SECRET = b"secret"


def volumes(
    folder: Path, claims: Mapping[str, Path] | None = None, configmaps: Mapping[str, Path] | None = None
) -> Mounts:
    """Folders under the names by which URIs call them."""
    mounts = Mounts(folder / "claims", folder / "configmaps", folder / "headers")
    for parent, targets in ((mounts.claims, claims or {}), (mounts.configmaps, configmaps or {})):
        parent.mkdir(parents=True)
        for name, target in targets.items():
            (parent / name).symlink_to(target)
    return mounts


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    """A volume, beside a secret that is not in it."""
    folder = tmp_path / "claim"
    (folder / "voices").mkdir(parents=True)
    (folder / "voices" / "a b.wav").write_bytes(b"sound")
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "claim-of-a-neighbour").mkdir()
    (tmp_path / "claim-of-a-neighbour" / "secret").write_bytes(SECRET)
    return folder


@pytest.fixture
def mounted(claim: Path, tmp_path: Path) -> Fetcher:
    mounts = volumes(tmp_path / "mounts", claims={"media": claim}, configmaps={"texts": claim})
    return Fetcher(FetchPolicy(), mounts, sleep=lambda seconds: None)


def failure(fetcher: Fetcher, uri: str, folder: Path) -> StageError:
    """The error of a fetch that has to fail, and must leave nothing behind."""
    destination = folder / "fetched" / "input"
    with pytest.raises(StageError) as caught:
        fetcher.fetch(uri, destination, FIELD)
    assert caught.value.field == FIELD
    assert not destination.parent.exists() or list(destination.parent.iterdir()) == []
    return caught.value


HONEST = [
    "voices/a%20b.wav",
    "voices/a b.wav",
    "/voices/./a%20b.wav",
    "voices/a%20b.wav/",
    "linked/a%20b.wav",
    "absolute/a%20b.wav",
]


@pytest.mark.parametrize("scheme", ["pvc://media", "configmap://texts"])
@pytest.mark.parametrize("path", HONEST)
def test_a_file_of_a_volume_is_read_also_through_links_that_stay_inside(
    mounted: Fetcher, claim: Path, tmp_path: Path, scheme: str, path: str
) -> None:
    (claim / "linked").symlink_to("voices")
    (claim / "absolute").symlink_to(claim / "voices")
    assert mounted.fetch(f"{scheme}/{path}", tmp_path / "input", FIELD).path.read_bytes() == b"sound"


def test_links_within_a_configmap_are_followed_as_kubernetes_makes_them(tmp_path: Path) -> None:
    folder = tmp_path / "map"
    (folder / "..2026_11_21").mkdir(parents=True)
    (folder / "..2026_11_21" / "face.png").write_bytes(b"picture")
    (folder / "..data").symlink_to("..2026_11_21")
    (folder / "face.png").symlink_to("..data/face.png")
    fetcher = Fetcher(FetchPolicy(), volumes(tmp_path / "mounts", configmaps={"faces": folder}))
    assert fetcher.fetch("configmap://faces/face.png", tmp_path / "input", FIELD).path.read_bytes() == b"picture"


UNUSABLE = [
    "../secret",
    "..",
    "./../secret",
    "voices/../../secret",
    "voices/../voices/a%20b.wav",
    "../claim-of-a-neighbour/secret",
    "../claim/voices/a%20b.wav",
    "//../secret",
    "%2e%2e/secret",
    "%2E%2E%2Fsecret",
    ".%2e/secret",
    "voices%2f..%2f..%2fsecret",
    "voices/%2e%2e/%2e%2e/secret",
    "%00",
    "voices/a%20b.wav%00.png",
    "%00/../secret",
]
"""Paths that climb, plain or escaped, or that end early for a program in C."""


@pytest.mark.parametrize("scheme", ["pvc://media", "configmap://texts"])
@pytest.mark.parametrize("path", UNUSABLE)
def test_a_path_that_climbs_is_refused(mounted: Fetcher, tmp_path: Path, scheme: str, path: str) -> None:
    error = failure(mounted, f"{scheme}/{path}", tmp_path)
    assert error.code is ErrorCode.INPUT_VALIDATION
    assert "may not contain '..'" in error.message


OUTSIDE = [
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "~/secret",
    "$HOME/secret",
    "*",
    "voices/*.wav",
    "%252e%252e/secret",
    "..%c0%afsecret",
    "%c0%ae%c0%ae/secret",
    "\uff0e\uff0e/secret",
    "\u2025/secret",
    "..\u2215secret",
    "..\uff0fsecret",
    "..\\secret",
    "..;/secret",
    "..%20/secret",
    ".. /secret",
    ". ./secret",
    "\u202e../secret",
    "\ufeff../secret",
    "VOICES/A%20B.WAV",
    "voices/a%20b.wav/more",
    "voices/a%20b.wav%0a",
    "voices/a%20b.wav?version=1",
    "voices/a%20b.wav#1",
    "voices/a\u00a0b.wav",
    "missing.wav",
    "missing/a.wav",
    "a" * 256,
    "a/" * 2_100 + "a",
]
"""Other spellings of what lies outside, or of what is inside; on this file system they name nothing."""


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_names_nothing_leads_nowhere_else(mounted: Fetcher, tmp_path: Path, path: str) -> None:
    error = failure(mounted, f"pvc://media/{path}", tmp_path)
    assert error.retryable is False
    assert str(error).isprintable()


def link(target: str) -> Callable[[Path], None]:
    """Put a link at a path. ``OUT`` in its target is the folder around the volume."""
    return lambda path: path.symlink_to(target.replace("OUT", path.parents[1].as_posix()))


def links(*targets: str) -> Callable[[Path], None]:
    """A link to a link to a link …; the last one leads to the last target."""

    def make(path: Path) -> None:
        names = [path.name, *(f"{path.name}-{number}" for number in range(1, len(targets)))]
        for name, target in zip(names, (*names[1:], targets[-1]), strict=True):
            link(target)(path.with_name(name))

    return make


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        previous = os.open(".", os.O_RDONLY)
        os.chdir(path.parent)  # a socket's path may have 108 characters
        try:
            listener.bind(path.name)
        finally:
            os.fchdir(previous)
            os.close(previous)


def linked_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    link("pipe")(path)


def folder_with_links(path: Path) -> None:
    path.mkdir()
    (path / "in").mkdir()
    link("../../..")(path / "in" / "up")


LEADS_OUT, NO_FILE, CIRCLE = "leads out of its volume", "is not a file", "cannot be read"

PLANTED: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "link to a file outside": (link("../secret"), "", LEADS_OUT),
    "absolute link": (link("OUT/secret"), "", LEADS_OUT),
    "link to a neighbour with the same beginning": (link("OUT/claim-of-a-neighbour/secret"), "", LEADS_OUT),
    "link to the folder outside": (link(".."), "/secret", LEADS_OUT),
    "link to the root": (link("/"), "/etc/passwd", LEADS_OUT),
    "link in the last of several folders": (folder_with_links, "/in/up/secret", LEADS_OUT),
    "link out and in again by another way": (link("OUT/claim/../secret"), "", LEADS_OUT),
    "link to a link to a link outside": (links("", "", "../secret"), "", LEADS_OUT),
    "chain of forty links": (links(*[""] * 39, "../secret"), "", ""),
    "link to a file that does not exist outside": (link("../missing"), "", LEADS_OUT),
    "link to itself": (lambda path: path.symlink_to(path.name), "", CIRCLE),
    "two links to each other": (lambda path: links("", path.name)(path), "", CIRCLE),
    # From Python 3.13 on it is resolved up to where the circle begins, and does not exist.
    "circle through a folder": (lambda path: path.symlink_to(f"{path.name}/x"), "/y", ""),
    "link to this process's environment": (link("/proc/self/environ"), "", LEADS_OUT),
    "link to this process's files": (link("/proc/self/fd"), "/0", LEADS_OUT),
    "link to this process's root": (link("/proc/self/root"), "/etc/passwd", LEADS_OUT),
    "link to this process's folder": (link("/proc/self/cwd"), "/pyproject.toml", LEADS_OUT),
    "link to the first process": (link("/proc/1/root/etc/shadow"), "", ""),
    "link to memory": (link("/proc/self/mem"), "", LEADS_OUT),
    "link to a device without end": (link("/dev/zero"), "", LEADS_OUT),
    "link to a device that waits": (link("/dev/stdin"), "", LEADS_OUT),
    "link to the terminal": (link("/dev/tty"), "", LEADS_OUT),
    "link to the account's token": (link("/var/run/secrets/kubernetes.io/serviceaccount/token"), "", LEADS_OUT),
    "pipe that nobody writes to": (lambda path: os.mkfifo(path), "", NO_FILE),
    "link to a pipe": (linked_pipe, "", NO_FILE),
    "socket": (listening, "", NO_FILE),
    "folder": (lambda path: path.mkdir(), "", NO_FILE),
    "folder by its slash": (lambda path: path.mkdir(), "/", NO_FILE),
    "link to the volume itself": (link("."), "", NO_FILE),
    "link with a very long target": (link("x/" * 2_000 + "x"), "", ""),
}
"""What an author's own pod may put into a volume: what is made, the path below it, and what is said."""


@pytest.mark.parametrize(("make", "below", "said"), PLANTED.values(), ids=list(PLANTED))
def test_what_is_planted_in_a_volume_leads_nowhere(
    mounted: Fetcher, claim: Path, tmp_path: Path, make: Callable[[Path], None], below: str, said: str
) -> None:
    make(claim / "planted")
    error = failure(mounted, f"pvc://media/planted{below}", tmp_path)
    assert error.retryable is False
    assert said in error.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make devices")
@pytest.mark.parametrize("device", [(1, 5), (1, 3), (5, 0)], ids=["zero", "null", "tty"])
def test_a_device_in_a_volume_is_not_opened(
    mounted: Fetcher, claim: Path, tmp_path: Path, device: tuple[int, int]
) -> None:
    try:
        os.mknod(claim / "planted", 0o20666, os.makedev(*device))
    except PermissionError:
        pytest.skip("this container may not make devices")
    assert NO_FILE in failure(mounted, "pvc://media/planted", tmp_path).message


def test_a_hard_link_is_a_file_of_the_volume(mounted: Fetcher, claim: Path, tmp_path: Path) -> None:
    """The kernel makes none across volumes, and with protected_hardlinks none to what its maker may not write to."""
    os.link(claim / "voices" / "a b.wav", claim / "planted")
    assert mounted.fetch("pvc://media/planted", tmp_path / "input", FIELD).path.read_bytes() == b"sound"


NOT_MOUNTED = [
    ("pvc://media/", "no file in it"),
    ("pvc://media", "no file in it"),
    ("pvc://other/a.wav", "'other' is not mounted: a local run needs the option --mount"),
    ("pvc://../a.wav", "'..' is not mounted"),
    ("pvc://./a.wav", "'.' is not mounted"),
    ("pvc:///a.wav", "'' is not mounted"),
    ("pvc://%2e%2e/a.wav", "is not mounted"),
    ("pvc://MEDIA/voices/a%20b.wav", "'MEDIA' is not mounted"),
    ("pvc://media%2fvoices/a%20b.wav", "is not mounted"),
    ("configmap://other/key", "ConfigMap 'other' is not mounted: a local run reads"),
    ("configmap://media/voices/a%20b.wav", "ConfigMap 'media' is not mounted"),
]


@pytest.mark.parametrize(("uri", "said"), NOT_MOUNTED)
def test_a_volume_is_found_by_its_exact_name_only(mounted: Fetcher, tmp_path: Path, uri: str, said: str) -> None:
    error = failure(mounted, uri, tmp_path)
    assert (error.code, error.retryable) == (ErrorCode.INPUT_VALIDATION, False)
    assert said in error.message


def test_a_mounted_file_above_the_limit_is_refused(claim: Path, tmp_path: Path) -> None:
    fetcher = Fetcher(FetchPolicy(max_bytes=4), volumes(tmp_path / "mounts", claims={"media": claim}))
    assert failure(fetcher, "pvc://media/voices/a%20b.wav", tmp_path).code is ErrorCode.INPUT_VALIDATION


RACES: dict[str, Callable[[Path], None]] = {
    "a link to a file": link("OUT/secret"),
    "a link to a folder": link("OUT/outside"),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to a device": link("/dev/zero"),
    "nothing": lambda path: None,
}
"""What takes the place of an honest path, again and again: of the file itself, and of each folder above it."""


@contextmanager
def exchanging(honest: Path, hostile: Path) -> Iterator[None]:
    """Exchange two paths as often as this machine can, as a neighbour of the same volume may."""
    over, aside = threading.Event(), honest.with_name("aside")

    def exchange() -> None:
        while not over.is_set():
            for one, other in ((honest, aside), (hostile, honest), (honest, hostile), (aside, honest)):
                with suppress(FileNotFoundError):
                    one.rename(other)

    thread = threading.Thread(target=exchange, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("level", ["deep/folder/a.wav", "deep/folder", "deep"])
@pytest.mark.parametrize("make", RACES.values(), ids=list(RACES))
def test_what_is_swapped_in_while_a_file_is_opened_leads_nowhere(
    claim: Path, tmp_path: Path, make: Callable[[Path], None], level: str
) -> None:
    for folder in (claim / "deep" / "folder", tmp_path / "outside" / "folder"):
        folder.mkdir(parents=True)
    (claim / "deep" / "folder" / "a.wav").write_bytes(b"sound")
    for secret in ("outside/a.wav", "outside/folder/a.wav"):
        (tmp_path / secret).write_bytes(SECRET)
    make(claim / "made")
    hostile = (claim / level).with_name("hostile")
    with suppress(FileNotFoundError):
        (claim / "made").rename(hostile)
    mounts = volumes(tmp_path / "mounts", claims={"media": claim})
    fetcher = Fetcher(FetchPolicy(attempts=1, max_bytes=100), mounts)
    with exchanging(claim / level, hostile):
        for _ in range(60):
            with suppress(StageError):
                found = fetcher.fetch("pvc://media/deep/folder/a.wav", tmp_path / "fetched", FIELD)
                assert found.path.read_bytes() == b"sound"


@pytest.mark.parametrize("path", [".work/ns/a", "tv/%2ework/a", ".WORK/a", "\uff0ework/a"])
def test_work_in_progress_on_a_claim_is_no_input(mounted: Fetcher, tmp_path: Path, path: str) -> None:
    assert "which is no input" in failure(mounted, f"pvc://media/{path}", tmp_path).message
