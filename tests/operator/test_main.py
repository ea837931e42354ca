"""The process: what must not end it."""

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
    made: Any = Operator(config(**settings), client, "test")
    made._api = api = FakeApi()
    return made, api


def impostor(name: str) -> dict[str, Any]:
    labels = {LABEL_UID: "11111111-2222-3333-4444-555555555555", LABEL_STAGE: "nonsense"}
    meta = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1", "labels": labels}
    return {"kind": "Job", "metadata": meta, "spec": {}}


def test_a_job_that_only_looks_like_a_child_stops_no_resync() -> None:
    made, api = operator()
    api.objects["jobs", "impostor"] = impostor("impostor")
    api.objects["talkingvideos", "hello"] = body(spec())
    asyncio.run(made._resync())
    assert list(made._cache.jobs.all()) == []
    assert len(list(made._cache.videos.all())) == 1


def test_a_job_that_only_looks_like_a_child_stops_no_watch() -> None:
    made, _ = operator()
    event_handlers: EventHandlers = made._handlers
    for kind in ("ADDED", "DELETED"):
        event: Any = {"type": kind, "object": impostor("impostor")}
        asyncio.run(event_handlers.job(event))
    assert list(made._cache.jobs.all()) == []


def test_a_resync_that_fails_is_tried_again() -> None:
    made, api = operator(resyncSeconds=0.01)
    api.refuse["list pods"] = ApiError(410, "the list has expired")

    async def scenario() -> bool:
        keeping = asyncio.create_task(made._resync_periodically())
        await asyncio.sleep(0.05)
        api.refuse.clear()
        await asyncio.sleep(0.05)
        alive = not keeping.done()
        keeping.cancel()
        return alive

    assert asyncio.run(scenario())
    assert "list talkingvideos" in api.calls
