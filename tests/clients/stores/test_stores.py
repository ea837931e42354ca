"""Both stores keep the same promises: a folder, and a bucket of a server that checks signatures."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.cluster.s3 import S3Server

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_clients.stores.base import MAX_READ, MissingFileError, Store
from talkingvideo_clients.stores.beneath import open_folder
from talkingvideo_clients.stores.factory import open_parent, open_store
from talkingvideo_clients.stores.local import LocalStore, _copied_into
from talkingvideo_clients.stores.s3 import S3Store, s3_client


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "folder":
        yield LocalStore(tmp_path / "store")
        return
    server: S3Server = request.getfixturevalue("s3_server")
    yield S3Store(server.client(), server.create_bucket(f"b-{uuid.uuid4()}"), "some/prefix")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"frames")
    return path


def test_a_file_that_was_put_is_read_back_with_its_size_and_digest(store: Store, file: Path, tmp_path: Path) -> None:
    store.put("a/b.mp4", file)
    store.get("a/b.mp4", tmp_path / "deep" / "copy", 6)
    assert (tmp_path / "deep" / "copy").read_bytes() == store.read("a/b.mp4") == b"frames"
    stored = store.stat("a/b.mp4")
    assert stored is not None
    assert stored.bytes == 6
    assert stored.sha256 == hashlib.sha256(b"frames").hexdigest()


@pytest.mark.parametrize("size", [101, 30 << 20])
def test_a_file_larger_than_expected_is_not_copied(store: Store, tmp_path: Path, size: int) -> None:
    (tmp_path / "large").write_bytes(bytes(size))
    store.put("a/large", tmp_path / "large")
    with pytest.raises(StageError, match="a/large is larger than 100 bytes") as caught:
        store.get("a/large", tmp_path / "deep" / "copy", 100)
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.WORKSPACE, False)
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_file_larger_than_documents_is_not_read(store: Store, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(MAX_READ + 1))
    store.put("a/large", tmp_path / "large")
    with pytest.raises(StageError, match="a/large is larger than") as caught:
        store.read("a/large")
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.WORKSPACE, False)


def test_a_file_that_does_not_exist_is_missing(store: Store, tmp_path: Path) -> None:
    assert store.stat("nothing") is None
    with pytest.raises(MissingFileError):
        store.read("nothing")
    with pytest.raises(MissingFileError):
        store.get("nothing", tmp_path / "copy", 6)
    assert not (tmp_path / "copy").exists()


def test_the_first_of_many_writers_wins_and_the_file_is_always_complete(store: Store, tmp_path: Path) -> None:
    wins: list[bytes] = []

    def write(content: bytes) -> None:
        source = tmp_path / f"source-{content[0]}"
        source.write_bytes(content * 200_000)
        if store.put_new("contested", source):
            wins.append(content)

    writers = [threading.Thread(target=write, args=(bytes([65 + number]),)) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(wins) == 1
    assert store.read("contested") == wins[0] * 200_000


def test_put_replaces_and_put_new_does_not(store: Store, file: Path) -> None:
    assert store.put_new("name", file)
    file.write_bytes(b"other")
    assert not store.put_new("name", file)
    assert store.read("name") == b"frames"
    store.put("name", file)
    assert store.read("name") == b"other"


def test_nothing_but_the_files_is_left_in_a_folder(tmp_path: Path, file: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put("a", file)
    store.put_new("a", file)
    store.put_new("b", file)
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["a", "b"]


def test_a_wrong_secret_is_the_users_fault_and_not_repeated(
    s3_server: S3Server, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3_server.create_bucket("refusing")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-value")
    store = S3Store(s3_client(S3Connection(endpoint=s3_server.endpoint)), bucket, "")
    with pytest.raises(StageError) as refusal:
        store.put("a", file)
    assert refusal.value.code is ErrorCode.STORE_ACCESS
    assert not refusal.value.retryable
    assert "very-secret-value" not in str(refusal.value)


def test_a_claims_store_is_the_folder_where_it_is_mounted(tmp_path: Path, file: Path) -> None:
    store = open_store("pvc://shared/videos", S3Connection(), tmp_path)
    store.put("a.mp4", file)
    assert (tmp_path / "shared" / "videos" / "a.mp4").read_bytes() == b"frames"
    assert store.uri("a.mp4") == "pvc://shared/videos/a.mp4"


def test_a_folder_whose_name_needs_quoting_is_found_again(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "ein Ordner (1)%20"
    store = open_store(folder.as_uri(), S3Connection(), tmp_path)
    store.put("a", file)
    assert (folder / "a").read_bytes() == b"frames"


def test_a_file_whose_name_needs_quoting_has_that_name_in_its_folder(tmp_path: Path) -> None:
    store, name = open_parent((tmp_path / "mein Film (1)%20").as_uri(), S3Connection(), tmp_path)
    assert (store.uri(""), name) == (f"{tmp_path.as_uri()}/", "mein Film (1)%20")
    assert open_parent("s3://films/a%20b/c%20d", S3Connection(), tmp_path)[1] == "c%20d"


def test_without_hard_links_files_are_still_complete(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = LocalStore(tmp_path / "store")
    assert store.put_new("a", file)
    file.write_bytes(b"other")
    assert not store.put_new("a", file)
    assert store.read("a") == b"frames"
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["a"]


def test_a_link_whose_answer_was_lost_counts_as_written(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS sends the request again, and the server says that the name is taken: by this very file."""
    link = os.link

    def link_and_lose_the_answer(source: str, destination: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        link(source, destination, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", link_and_lose_the_answer)
    assert LocalStore(tmp_path / "store").put_new("a", file)


KILLED = """
import os, signal, sys
from pathlib import Path
from talkingvideo_clients.stores.local import LocalStore
os.link = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
LocalStore(Path(sys.argv[1])).put_new("a.mp4", Path(sys.argv[2]))
"""


def test_what_a_killed_writer_left_is_removed_by_the_next_one_of_that_name(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "store"
    subprocess.run([sys.executable, "-c", KILLED, str(folder), str(file)], check=False)
    assert len(list(folder.iterdir())) == 1
    assert LocalStore(folder).stat("a.mp4") is None
    LocalStore(folder).put("b.mp4", file)
    assert len(list(folder.iterdir())) == 2
    LocalStore(folder).put_new("a.mp4", file)
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "b.mp4"]


@contextmanager
def unfinished_copy(file: Path, final: Path) -> Iterator[Path]:
    """A copy that another writer has not finished."""
    folder = open_folder(final.parent, Path(), create=True)
    with file.open("rb") as reading, _copied_into(folder, final.name, reading) as name:
        yield final.parent / name
    os.close(folder)


def test_the_unfinished_file_of_another_writer_is_left_alone(tmp_path: Path, file: Path) -> None:
    with unfinished_copy(file, tmp_path / "store" / "a") as unfinished:
        LocalStore(tmp_path / "store").put("a", file)
        assert unfinished.read_bytes() == b"frames"


def test_a_file_is_deleted_whether_it_existed_or_not(store: Store, file: Path) -> None:
    store.put("a", file)
    store.delete("a")
    store.delete("a")
    assert store.stat("a") is None


class BusyClient:
    """Answers 409 to the first requests, as AWS does while another conditional write of the name is under way."""

    def __init__(self, busy: int, then: str | None = None) -> None:
        self.requests, self._busy, self._then = 0, busy, then

    def put_object(self, **_: object) -> None:
        self.requests += 1
        if self.requests <= self._busy:
            raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")
        if self._then is not None:
            raise ClientError({"Error": {"Code": self._then}}, "PutObject")


@pytest.mark.parametrize(("then", "written"), [(None, True), ("PreconditionFailed", False)])
def test_a_busy_name_is_written_again_until_the_winner_is_known(file: Path, then: str | None, written: bool) -> None:
    client, pauses = BusyClient(2, then), list[float]()
    assert S3Store(client, "b", "", sleep=pauses.append).put_new("a", file) is written
    assert client.requests == 3
    assert len(pauses) == 2


def test_a_name_that_stays_busy_is_an_error_worth_a_retry(file: Path) -> None:
    with pytest.raises(StageError, match="other requests keep writing it") as refused:
        S3Store(BusyClient(99), "b", "", sleep=lambda _: None).put_new("a", file)
    assert refused.value.retryable


def test_a_folder_that_cannot_be_written_is_the_workspaces_error(tmp_path: Path, file: Path) -> None:
    with pytest.raises(StageError) as refused:
        LocalStore(file).put_new("a", file)
    assert refused.value.code is ErrorCode.WORKSPACE


@pytest.mark.parametrize("uri", ["s3://bucket/../other", "pvc://claim/a/../../b", "no uri", "s3://"])
def test_a_location_that_cannot_be_parsed_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(StageError) as refused:
        open_store(uri, S3Connection(), tmp_path)
    assert refused.value.code is ErrorCode.INPUT_VALIDATION


def names(store: Store, prefix: str = "") -> list[str]:
    return sorted(it.name for it in store.list(prefix))


def test_files_are_listed_by_the_beginning_of_their_names(store: Store, file: Path) -> None:
    for name in ("ab/c.mp4", "ab/d/e", "abc", "b"):
        store.put(name, file)
    assert names(store) == ["ab/c.mp4", "ab/d/e", "abc", "b"]
    assert names(store, "ab") == ["ab/c.mp4", "ab/d/e", "abc"]
    assert names(store, "ab/") == ["ab/c.mp4", "ab/d/e"]
    assert names(store, "ab/d/e") == ["ab/d/e"]
    assert names(store, "ab/x") == names(store, "x/y/") == names(store, "abc/") == []


def test_a_listing_says_how_large_a_file_is_and_when_it_was_written(store: Store, file: Path) -> None:
    assert list(store.list()) == []
    before = datetime.now(UTC)
    store.put("a", file)
    (listed,) = store.list()
    assert (listed.name, listed.bytes) == ("a", 6)
    assert listed.modified.utcoffset() is not None
    assert abs((listed.modified - before).total_seconds()) < 5


def test_a_listing_goes_on_after_its_first_page(s3_server: S3Server, file: Path) -> None:
    class TwoAtATime:
        """S3 lists 1,000 objects a page."""

        def __init__(self) -> None:
            self._client = s3_server.client()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._client, name)

        def get_paginator(self, name: str) -> Any:
            paginator = self._client.get_paginator(name)
            return SimpleNamespace(
                paginate=lambda **query: paginator.paginate(**query, PaginationConfig={"PageSize": 2})
            )

    store = S3Store(TwoAtATime(), s3_server.create_bucket("pages"), "")
    for name in "abcde":
        store.put(name, file)
    assert names(store) == list("abcde")


def test_unfinished_files_are_not_listed(tmp_path: Path, file: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put("a/.hidden.part", file)
    with unfinished_copy(file, tmp_path / "store" / "a" / "b"):
        assert names(store) == ["a/.hidden.part"]


def test_a_bucket_that_does_not_exist_cannot_be_listed(s3_server: S3Server) -> None:
    with pytest.raises(StageError) as refused:
        list(S3Store(s3_server.client(), "no-such-bucket", "").list())
    assert refused.value.code is ErrorCode.STORE_ACCESS
