"""Presigned URLs, answered by a server that checks signatures."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from tests.cluster.s3 import S3Server

from talkingvideo_api.stage_input import S3Connection
from talkingvideo_clients.stores.presign import LONGEST_EXPIRY, presigned_url
from talkingvideo_clients.stores.s3 import s3_client


@pytest.fixture
def client(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.owner.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.owner.secret_key)
    return s3_client(S3Connection(endpoint=s3_server.endpoint, region=s3_server.region, addressing_style="path"))


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    name = s3_server.create_bucket(f"b-{uuid.uuid4()}")
    s3_server.client().put_object(Bucket=name, Key="a b/film.mp4", Body=b"film", ContentType="video/mp4")
    return name


def fetch(url: str) -> tuple[bytes, Mapping[str, str]]:
    with urllib.request.urlopen(url) as answer:
        return answer.read(), answer.headers


def status_of(url: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(url)
    return refused.value.code


def test_an_object_is_fetched_without_credentials(client: Any, bucket: str) -> None:
    body, headers = fetch(presigned_url(client, bucket, "a b/film.mp4", 60))
    assert (body, headers["Content-Type"]) == (b"film", "video/mp4")


def test_the_answers_headers_can_be_chosen(client: Any, bucket: str) -> None:
    disposition = 'attachment; filename="My film.mp4"'
    url = presigned_url(
        client, bucket, "a b/film.mp4", 60, content_disposition=disposition, content_type="application/octet-stream"
    )
    _, headers = fetch(url)
    assert headers["Content-Disposition"] == disposition
    assert headers["Content-Type"] == "application/octet-stream"


def test_a_url_opens_its_own_object_only(client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="other", Body=b"secret")
    url = presigned_url(client, bucket, "a b/film.mp4", 60)
    assert status_of(url.replace("a%20b/film.mp4", "other")) == 403


def test_a_url_expires(client: Any, bucket: str) -> None:
    url = presigned_url(client, bucket, "a b/film.mp4", 1)
    time.sleep(2.5)
    assert status_of(url) in {400, 403}


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_EXPIRY + 1])
def test_an_expiry_that_no_service_accepts_is_refused(client: Any, bucket: str, seconds: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 604800"):
        presigned_url(client, bucket, "film.mp4", seconds)
