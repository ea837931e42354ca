"""Uploads, downloads and presigned addresses, with a real S3 server that checks signatures."""

from __future__ import annotations

import hashlib
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.cli.api_server import ApiServer
from tests.cli.conftest import Run
from tests.cluster.s3 import S3Server

from talkingvideo_api.keys import input_problem
from talkingvideo_api.profile import AllowList, S3Store, Store
from talkingvideo_api.uris import parse_object_uri
from talkingvideo_cli.files import LocalFile
from talkingvideo_cli.store import UploadFolder
from talkingvideo_operator.planning.locations import readable_places

FILM = b"a film"


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket, for whose service the environment has an address and credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.owner.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.owner.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint)
    return s3_server.create_bucket(f"b-{uuid.uuid4()}")


@pytest.fixture
def finished(server: ApiServer, s3_server: S3Server, bucket: str) -> ApiServer:
    """A server with a video whose result is in the bucket."""
    s3_server.client().put_object(Bucket=bucket, Key="videos/films/hello 1.mp4", Body=FILM, ContentType="video/mp4")
    digest = hashlib.sha256(FILM).hexdigest()
    output = {"uri": f"s3://{bucket}/videos/films/hello 1.mp4", "sha256": digest, "bytes": len(FILM)}
    server.add("hello", phase="Succeeded", output=output)
    return server


def keys(s3_server: S3Server, bucket: str) -> list[str]:
    return [entry["Key"] for entry in s3_server.client().list_objects_v2(Bucket=bucket).get("Contents", ())]


def uris(server: ApiServer, name: str) -> list[str]:
    spec = server.videos[name]["spec"]
    return [spec["source"]["image"]["uri"], spec["speech"]["speakers"][0]["audio"]["uri"]]


# submit


def test_files_are_uploaded_to_the_folder_of_the_namespace(
    run: Run, server: ApiServer, s3_server: S3Server, bucket: str, picture: Path, sound: Path
) -> None:
    done = run("submit", picture, sound, "--store", f"s3://{bucket}/videos/")
    assert done.exit_code == 0, done.stderr
    names = [f"{hashlib.sha256(b'a picture').hexdigest()}.png", f"{hashlib.sha256(b'a sound').hexdigest()}.wav"]
    assert sorted(keys(s3_server, bucket)) == sorted(f"videos/films/inputs/{name}" for name in names)
    assert uris(server, "my-face-1-x7k2p") == [f"s3://{bucket}/videos/films/inputs/{name}" for name in names]
    head = s3_server.client().head_object(Bucket=bucket, Key=f"videos/films/inputs/{names[0]}")
    assert head["ContentType"] == "image/png"


def test_a_file_is_uploaded_once(
    run: Run, s3_server: S3Server, bucket: str, picture: Path, sound: Path, tmp_path: Path
) -> None:
    run("submit", picture, sound, "--store", f"s3://{bucket}")
    renamed = picture.rename(tmp_path / "renamed.png")
    done = run("submit", renamed, sound, "--store", f"s3://{bucket}")
    assert "renamed.png is in the store already" in done.stderr
    assert "uploading" not in done.stderr
    assert len(keys(s3_server, bucket)) == 2


def test_the_environment_may_name_the_store(
    run: Run, s3_server: S3Server, bucket: str, picture: Path, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKINGVIDEO_STORE", f"s3://{bucket}/a")
    assert run("submit", picture, sound, "-n", "other").exit_code == 0
    assert all(key.startswith("a/other/inputs/") for key in keys(s3_server, bucket))


def test_nothing_is_uploaded_for_an_object_that_the_cluster_refuses(
    run: Run, server: ApiServer, s3_server: S3Server, bucket: str, picture: Path, sound: Path
) -> None:
    server.forbidden = {"create"}
    assert run("submit", picture, sound, "--store", f"s3://{bucket}").exit_code == 4
    assert keys(s3_server, bucket) == []


@pytest.mark.parametrize(
    ("variable", "value", "status", "words"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", 4, "The S3 service refuses to read s3://"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9", 6, "EndpointConnectionError"),
        ("AWS_PROFILE", "missing", 4, "AWS's configuration cannot be used"),
    ],
)
def test_a_store_that_cannot_be_used_creates_nothing(
    run: Run,
    server: ApiServer,
    bucket: str,
    picture: Path,
    sound: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    status: int,
    words: str,
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = run("submit", picture, sound, "--store", f"s3://{bucket}")
    assert done.exit_code == status
    assert words in done.stderr
    assert server.videos == {}


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("bucket", "'bucket' is not a URI"),
        ("pvc://claim/x", "write s3://BUCKET/PREFIX"),
        ("s3://bucket/.work", "the prefix has a part that begins with '.'"),
        ("s3://bucket/../x", "may not contain '..'"),
    ],
)
def test_a_store_that_is_none_is_named(
    run: Run, server: ApiServer, picture: Path, sound: Path, store: str, words: str
) -> None:
    done = run("submit", picture, sound, "--store", store)
    assert done.exit_code == 2
    assert words in done.stderr
    assert server.requests == []


def test_without_credentials_the_person_is_told_how_to_give_some(
    run: Run, server: ApiServer, picture: Path, sound: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    done = run("submit", picture, sound, "--store", "s3://bucket")
    assert done.exit_code == 4
    assert "there are no credentials for the store: set AWS_ACCESS_KEY_ID" in done.stderr


@pytest.mark.parametrize(("store", "prefix"), [("s3://media", ""), ("s3://media/a/b/", "a/b")])
def test_what_is_uploaded_may_be_read_by_objects_of_the_namespace_and_of_no_other(
    picture: Path, store: str, prefix: str
) -> None:
    """By the rules with which the operator checks inputs, if a profile has this store and allows nothing in addition."""
    file = LocalFile(picture)
    uri = parse_object_uri(UploadFolder.of(store, "films").uris([file])[file])
    profile_store = Store(s3=S3Store(bucket="media", prefix=prefix))

    def problem(namespace: str) -> str | None:
        return input_problem(uri.container, uri.path, readable_places(namespace, profile_store, AllowList()))

    assert problem("films") is None
    assert problem("other") is not None


# download


def test_a_result_is_downloaded(run: Run, finished: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("download", "hello")
    assert (done.exit_code, done.stdout) == (0, "hello.mp4\n")
    assert (tmp_path / "hello.mp4").read_bytes() == FILM
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_a_result_is_downloaded_to_a_file_of_ones_choice(run: Run, finished: ApiServer, tmp_path: Path) -> None:
    assert run("download", "hello", "-o", tmp_path / "new" / "x.mp4").exit_code == 0
    assert (tmp_path / "new" / "x.mp4").read_bytes() == FILM


def test_an_existing_file_is_replaced_on_request_only(run: Run, finished: ApiServer, tmp_path: Path) -> None:
    file = tmp_path / "x.mp4"
    file.write_bytes(b"mine")
    done = run("download", "hello", "-o", file)
    assert (done.exit_code, file.read_bytes()) == (2, b"mine")
    assert run("download", "hello", "-o", file, "--force").exit_code == 0
    assert file.read_bytes() == FILM


def test_a_file_that_is_not_the_result_any_more_is_not_kept(
    run: Run, finished: ApiServer, s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    s3_server.client().put_object(Bucket=bucket, Key="videos/films/hello 1.mp4", Body=FILM[::-1])
    done = run("download", "hello", "-o", tmp_path / "x.mp4")
    assert done.exit_code == 1
    assert "is not the result any more" in done.stderr
    assert not (tmp_path / "x.mp4").exists()


def test_a_result_that_was_deleted(run: Run, finished: ApiServer, s3_server: S3Server, bucket: str) -> None:
    s3_server.client().delete_object(Bucket=bucket, Key="videos/films/hello 1.mp4")
    done = run("download", "hello")
    assert done.exit_code == 3
    assert "is not in the store any more" in done.stderr


@pytest.mark.parametrize("command", ["download", "open"])
@pytest.mark.parametrize(
    ("status", "exit_status", "words"),
    [
        ({"phase": "Rendering", "progress": 40}, 3, "hello has no result: it is Rendering, 40%"),
        ({"phase": "Succeeded"}, 3, "hello has no result: it was a dry run"),
        (
            {"phase": "Succeeded", "output": {"uri": "pvc://media/films/x.mp4"}},
            3,
            "mount the PersistentVolumeClaim media",
        ),
        ({"phase": "Cancelled"}, 5, "hello was cancelled"),
    ],
)
def test_a_video_without_a_result_that_can_be_fetched(
    run: Run, server: ApiServer, command: str, status: dict[str, Any], exit_status: int, words: str
) -> None:
    server.add("hello", **status)
    done = run(command, "hello")
    assert done.exit_code == exit_status
    assert words in done.stderr


# open


def test_an_address_opens_the_result_without_credentials(run: Run, finished: ApiServer) -> None:
    done = run("open", "hello", "--expires", "60")
    assert done.exit_code == 0, done.stderr
    with urllib.request.urlopen(done.stdout.strip()) as answer:
        assert (answer.read(), answer.headers["Content-Type"]) == (FILM, "video/mp4")


def test_a_public_address_needs_no_credentials(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Succeeded", output={"uri": "s3://b/x.mp4", "url": "https://cdn.example.com/x.mp4"})
    assert run("open", "hello").stdout == "https://cdn.example.com/x.mp4\n"


@pytest.mark.parametrize("seconds", ["0", "604801"])
def test_an_expiry_that_no_service_accepts(run: Run, finished: ApiServer, seconds: str) -> None:
    done = run("open", "hello", "--expires", seconds)
    assert done.exit_code == 2
    assert "--expires" in done.stderr
