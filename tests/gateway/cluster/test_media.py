"""Uploads and results in a bucket of a server that checks signatures."""

from __future__ import annotations

import asyncio
import hashlib
import io
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.cluster.s3 import S3Server

from talkingvideo_gateway.cluster.media import S3Media
from talkingvideo_gateway.cluster.settings import ClusterSettings
from talkingvideo_gateway.errors import UnavailableError
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.videos.backend import MediaFile

ALICE, BOB = Caller("alice", "films"), Caller("bob", "films")
ADMINISTRATOR = Caller("admin", "films", sees_namespace=True)


def settings(bucket: str = "media", prefix: str = "shared", **s3: Any) -> ClusterSettings:
    return ClusterSettings.model_validate(
        {
            "stores": {
                "default": {"s3": {"bucket": bucket, "prefix": prefix, **s3}},
                "archive": {"s3": {"bucket": bucket, "prefix": f"{prefix}/archive", **s3}},
            },
            "inputs": [f"s3://{bucket}/inputs/", "pvc://media/"],
        }
    )


@pytest.fixture(scope="module")
def media() -> Iterator[S3Media]:
    """Without a server: what is decided before anything is asked."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "x")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "x")
        made = S3Media(settings(endpoint="http://127.0.0.1:1", linkEndpoint="https://files.example.com"))
        yield made
    made.close()


NAMED = [
    # uri, whether alice may name it
    ("https://example.com/face.png", True),
    ("data:image/png;base64,AAAA", True),
    ("s3://media/shared/films/uploads/alice/abc", True),
    ("s3://media/inputs/face.png", True),
    ("pvc://media/face.png", True),
    ("s3://media/shared/films/uploads/bob/abc", False),
    ("s3://media/shared/films/uploads/alice/../bob/abc", False),
    ("s3://media/shared/films/uploads/alicent/abc", False),
    ("s3://media/shared/films/uploads/alice//abc", False),
    ("s3://media/shared/films/uploads/alice", False),
    ("s3://media/shared/films/hello-1234.mp4", False),
    ("s3://media/shared/clips/uploads/alice/abc", False),
    ("s3://media/inputs/../shared/films/hello-1234.mp4", False),
    ("s3://media/shared/.work/films/chunks/x", False),
    ("s3://other/inputs/face.png", False),
    ("pvc://mediaX/face.png", False),
    ("configmap://secrets/key", False),
    ("S3://media/inputs/face.png", False),
]


@pytest.mark.parametrize(("uri", "allowed"), NAMED)
def test_a_caller_names_own_uploads_and_what_the_administrator_lists(media: S3Media, uri: str, allowed: bool) -> None:
    assert media.may_name(ALICE, uri) is allowed
    assert media.may_name(ADMINISTRATOR, uri)


OPENED = [
    # uri of a status, namespace, whether its file is that namespace's
    ("s3://media/shared/films/hello-1234.mp4", "films", True),
    ("s3://media/shared/archive/films/hello-1234.mp4", "films", True),
    ("s3://media/shared/films/hello-1234.mp4", "clips", False),
    ("s3://media/shared/archive/films/hello-1234.mp4", "archive", False),
    ("s3://media/shared/films/../clips/x.mp4", "films", False),
    ("s3://media/films/hello-1234.mp4", "films", False),
    ("s3://media/shared/films", "films", False),
    ("s3://media/shared/.work/films/x", "films", False),
    ("s3://other/shared/films/hello-1234.mp4", "films", False),
    ("pvc://media/films/hello.mp4", "films", False),
    ("file:///etc/passwd", "films", False),
    ("https://example.com/x.mp4", "films", False),
    ("nonsense", "films", False),
]


@pytest.mark.parametrize(("uri", "namespace", "own"), OPENED)
def test_only_files_of_the_namespaces_own_folder_are_linked_to_and_no_other_is_asked_for(
    media: S3Media, uri: str, namespace: str, own: bool
) -> None:
    link = asyncio.run(media.link(namespace, uri, 60, 'a"b.mp4'))
    assert (link is not None) is own
    if link is None:
        assert asyncio.run(media.open(namespace, uri)) is None
        asyncio.run(media.delete(namespace, uri))
    else:
        assert link.startswith(("https://files.example.com/", "https://media.files.example.com/"))


def test_a_store_that_does_not_answer_is_unavailable(media: S3Media) -> None:
    with pytest.raises(UnavailableError):
        asyncio.run(media.open("films", "s3://media/shared/films/hello-1234.mp4"))


def test_without_a_store_nothing_is_uploaded_and_the_message_says_what_to_do() -> None:
    with pytest.raises(UnavailableError, match="https://"):
        asyncio.run(S3Media(ClusterSettings()).save("films", "alice", "0" * 64, io.BytesIO(b"x")))


@pytest.fixture
def stored(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Media]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.owner.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.owner.secret_key)
    bucket = s3_server.create_bucket(f"b-{uuid.uuid4()}")
    reached = {"endpoint": s3_server.endpoint, "addressingStyle": "path"}
    made = S3Media(settings(bucket, linkEndpoint=s3_server.endpoint, **reached))
    yield made
    made.close()


async def content(file: MediaFile | None, start: int, stop: int) -> list[bytes]:
    assert file is not None
    return [piece async for piece in file.read(start, stop)]


def test_an_upload_is_read_back_by_ranges_in_pieces(stored: S3Media) -> None:
    async def scenario() -> None:
        data = bytes(range(256)) * 12_000
        digest = hashlib.sha256(data).hexdigest()
        source = io.BytesIO(b"before" + data)
        source.seek(6)
        uri = await stored.save("films", "alice", digest, source)
        assert uri.endswith(f"/shared/films/uploads/alice/{digest}")
        file = await stored.open("films", uri)
        assert file is not None
        assert (file.bytes, file.etag) == (len(data), digest)
        pieces = await content(file, 0, file.bytes)
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= 1 << 20
        assert b"".join(await content(file, 1_000, 2_000_000)) == data[1_000:2_000_000]
        assert b"".join(await content(file, len(data) - 1, len(data))) == data[-1:]
        assert await content(file, 5, 5) == []
        await stored.delete("films", uri)
        await stored.delete("films", uri)
        assert await stored.open("films", uri) is None

    asyncio.run(scenario())


def test_what_a_caller_has_stored_is_found_listed_and_forgotten_in_its_own_folder(stored: S3Media) -> None:
    async def scenario() -> None:
        for name in ("upload-1.record", "upload-1.part_0001", "other"):
            await stored.save("films", "alice", name, io.BytesIO(name.encode()))
        found = await stored.find("films", "alice", "upload-1.record")
        assert found is not None and stored.may_name(ALICE, found.uri) and not stored.may_name(BOB, found.uri)
        assert b"".join(await content(found.file, 0, found.file.bytes)) == b"upload-1.record"
        assert await stored.names("films", "alice", "upload-1.") == ["upload-1.part_0001", "upload-1.record"]
        assert await stored.names("films", "ali", "") == await stored.names("clips", "alice", "") == []
        assert await stored.find("films", "bob", "upload-1.record") is None
        await stored.forget("films", "alice", "upload-1.record")
        await stored.forget("films", "alice", "upload-1.record")
        assert await stored.names("films", "alice", "upload") == ["upload-1.part_0001"]

    asyncio.run(scenario())


def test_a_reader_that_stops_in_the_middle_leaves_the_store_usable(stored: S3Media) -> None:
    async def scenario() -> None:
        data = b"x" * 5_000_000
        uri = await stored.save("films", "alice", "d" * 64, io.BytesIO(data))
        for _ in range(20):
            file = await stored.open("films", uri)
            assert file is not None
            reader = file.read(0, file.bytes)
            assert await anext(reader)
            await reader.aclose()  # type: ignore[attr-defined]

    asyncio.run(scenario())


@pytest.mark.parametrize(("name", "media_type"), [("film.mp4", "video/mp4"), ("film.jpg", "image/jpeg")])
def test_a_link_opens_the_file_for_whoever_has_it_with_a_name_and_ranges(
    stored: S3Media, name: str, media_type: str
) -> None:
    async def scenario() -> str | None:
        uri = await stored.save("films", "alice", "e" * 64, io.BytesIO(b"0123456789"))
        return await stored.link("films", uri, 60, name)

    link = asyncio.run(scenario())
    assert link is not None
    answer = httpx.get(link, headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["content-disposition"] == f'inline; filename="{name}"'
    assert answer.headers["content-type"] == media_type
    assert httpx.get(link.partition("?")[0]).status_code == 403
