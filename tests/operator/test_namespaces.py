"""Reading namespaces: lazily, seldom, and with no more rights than the verb get."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.operator.fake_api import FakeApi

from talkingvideo_clients.kube.api import ApiError
from talkingvideo_operator import namespaces
from talkingvideo_operator.namespaces import NamespaceReader
from talkingvideo_operator.planning.namespaces import Namespace

FILMS = {"metadata": {"name": "films", "labels": {"team": "films"}, "annotations": {"talkingvideo.dev/weight": "3"}}}


def read(api: FakeApi, *names: str) -> list[Namespace]:
    reader = NamespaceReader(api)  # type: ignore[arg-type]

    async def run() -> list[Namespace]:
        return [await reader.read(name) for name in names]

    return asyncio.run(run())


def test_a_namespace_is_read_once_a_minute() -> None:
    api = FakeApi()
    api.objects["namespaces", "films"] = FILMS
    first, second = read(api, "films", "films")
    assert first is second
    assert (first.labels, first.weight) == ({"team": "films"}, 3)
    assert api.calls == ["get namespaces"]


def test_a_namespace_is_read_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "FRESH_SECONDS", 0)
    api = FakeApi()
    read(api, "films", "films")
    assert len(api.calls) == 2


def test_an_operator_that_may_not_read_namespaces_says_so_once_and_goes_on(caplog: Any) -> None:
    api = FakeApi()
    api.refuse["get namespaces"] = ApiError(403, "namespaces is forbidden")
    assert read(api, "films", "news") == [Namespace(), Namespace()]
    assert caplog.text.count("may not be read") == 1


def test_an_api_server_that_does_not_respond_is_no_namespace_without_labels() -> None:
    api = FakeApi()
    api.refuse["get namespaces"] = ApiError(0, "no response")
    with pytest.raises(ApiError):
        read(api, "films")
