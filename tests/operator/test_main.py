"""The operator's process: what must not end it."""

import asyncio
from typing import Any

from tests.operator.fake_api import FakeApi
from tests.operator.fake_cluster import body, config, spec

from talkingvideo_api.names import LABEL_STAGE, LABEL_UID
from talkingvideo_clients.kube.api import ApiError
from talkingvideo_operator.handlers import EventHandlers
from talkingvideo_operator.main import Operator


def operator(**settings: Any) -> tuple[Any, FakeApi]:
    client: Any = None
    started: Any = Operator(config(**settings), client, "test")
    started._api = api = FakeApi()
    return started, api


def impostor(name: str) -> dict[str, Any]:
    labels = {LABEL_UID: "11111111-2222-3333-4444-555555555555", LABEL_STAGE: "nonsense"}
    meta = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1", "labels": labels}
    return {"kind": "Job", "metadata": meta, "spec": {}}


def test_a_job_with_invalid_labels_stops_no_resync() -> None:
    running, api = operator()
    api.objects["jobs", "impostor"] = impostor("impostor")
    api.objects["talkingvideos", "hello"] = body(spec())
    asyncio.run(running._resync())
    assert list(running._cache.jobs.all()) == []
    assert len(list(running._cache.videos.all())) == 1


def test_a_job_with_invalid_labels_stops_no_watch() -> None:
    running, _ = operator()
    event_handlers: EventHandlers = running._handlers
    for kind in ("ADDED", "DELETED"):
        event: Any = {"type": kind, "object": impostor("impostor")}
        asyncio.run(event_handlers.job(event))
    assert list(running._cache.jobs.all()) == []


def test_a_resync_that_fails_is_tried_again() -> None:
    running, api = operator(resyncSeconds=0.01)
    api.refuse["list pods"] = ApiError(410, "the list has expired")

    async def scenario() -> bool:
        resyncing = asyncio.create_task(running._resync_periodically())
        await asyncio.sleep(0.05)
        api.refuse.clear()
        await asyncio.sleep(0.05)
        alive = not resyncing.done()
        resyncing.cancel()
        return alive

    assert asyncio.run(scenario())
    assert "list talkingvideos" in api.calls
