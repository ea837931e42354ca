"""Effects and their errors, with an API server of dicts."""

import asyncio
from typing import Any

import pytest
from tests.operator.fake_api import FakeApi
from tests.operator.world import body, config, spec

from talkingvideo_operator.kube.api import ApiError
from talkingvideo_operator.kube.events import Recorder
from talkingvideo_operator.kube.logs import ProgressReader
from talkingvideo_operator.reconcile.cache import Cache
from talkingvideo_operator.reconcile.effects import Effects, NameConflictError
from talkingvideo_operator.reconcile.keyqueue import KeyQueue
from talkingvideo_operator.reconcile.objects import Video
from talkingvideo_operator.reconcile.reconciler import Reconciler


def fake_api() -> Any:
    return FakeApi()


class Bench:
    def __init__(self, document: Any = None, **settings: Any) -> None:
        self.api = fake_api()
        self.cache, self.queue = Cache(), KeyQueue()
        self.config = config(**settings)
        self.recorder = Recorder(self.api, "test")
        effects = Effects(self.api, self.cache, self.config, self.recorder)
        self.reconciler = Reconciler(self.cache, self.queue, effects, ProgressReader(self.api), self.config)
        document = body(document or spec())
        self.uid = document["metadata"]["uid"]
        self.api.objects["talkingvideos", "hello"] = document
        self.cache.videos.put(Video.of(document))

    def reconcile(self) -> None:
        async def turn() -> None:
            await self.reconciler.reconcile(self.uid)

        asyncio.run(turn())

    def writes(self) -> Any:
        return [call for call in self.api.calls if not call.startswith("get")]


def test_one_turn_creates_the_order_before_the_job_and_writes_status_last() -> None:
    bench = Bench()
    bench.reconcile()
    assert bench.writes() == ["create configmaps", "create jobs", "status"]


def test_a_second_turn_writes_nothing_although_no_watch_has_spoken_yet() -> None:
    bench = Bench()
    bench.reconcile()
    bench.reconcile()
    assert len(bench.writes()) == 3


def test_a_job_that_is_there_already_is_taken_for_ones_own_by_its_owner() -> None:
    bench = Bench()
    bench.reconcile()
    bench.cache.jobs.remove(bench.cache.jobs.of(bench.uid)[0])
    fresh = Cache()
    fresh.videos.put(Video.of(body(spec())))
    bench.api.objects["talkingvideos", "hello"]["metadata"]["resourceVersion"] = "1"
    bench.cache.videos, bench.cache.jobs = fresh.videos, fresh.jobs
    bench.reconcile()
    assert len([key for key in bench.api.objects if key[0] == "jobs"]) == 1
    assert len(bench.cache.jobs.of(bench.uid)) == 1


def test_a_job_of_somebody_else_is_never_taken_over() -> None:
    bench = Bench()
    bench.reconcile()
    (key,) = [key for key in bench.api.objects if key[0] == "jobs"]
    bench.api.objects[key]["metadata"]["ownerReferences"][0]["uid"] = "another"
    fresh = Cache()
    fresh.videos.put(Video.of({**body(spec()), "metadata": {**body(spec())["metadata"], "resourceVersion": "9"}}))
    bench.cache.videos, bench.cache.jobs = fresh.videos, fresh.jobs
    with pytest.raises((NameConflictError, ApiError)):
        bench.reconcile()
    assert bench.cache.jobs.of(bench.uid) == ()


def test_a_refused_job_is_told_and_status_is_written_all_the_same() -> None:
    bench = Bench()
    bench.api.refuse["create jobs"] = ApiError(403, "exceeded quota")
    with pytest.raises(ApiError):
        bench.reconcile()
    assert "status" in bench.writes()
    assert bench.cache.jobs.of(bench.uid) == ()
    _, event = bench.recorder._backlog.get_nowait()
    assert (event.reason.value, event.message) == ("CreateRefused", "403: exceeded quota")


def test_a_status_written_by_somebody_else_meanwhile_is_not_overwritten() -> None:
    bench = Bench()
    bench.api.objects["talkingvideos", "hello"]["metadata"]["resourceVersion"] = "2"
    with pytest.raises(ApiError) as error:
        bench.reconcile()
    assert error.value.status == 409
    bench.api.calls.clear()
    bench.cache.videos.put(Video.of(bench.api.objects["talkingvideos", "hello"]))
    bench.reconcile()
    assert bench.writes() == ["status"]


def test_a_job_that_is_gone_already_counts_as_deleted() -> None:
    bench = Bench()
    bench.reconcile()
    (key,) = [key for key in bench.api.objects if key[0] == "jobs"]
    del bench.api.objects[key]
    document = bench.api.objects["talkingvideos", "hello"]
    suspended = {**document, "spec": spec(suspend=True)}
    suspended["metadata"] = {**document["metadata"], "generation": 2, "resourceVersion": "900"}
    bench.api.objects["talkingvideos", "hello"] = suspended
    bench.cache.videos.put(Video.of(suspended))
    bench.reconcile()
    assert bench.writes()[-2:] == ["delete jobs", "status"]


def test_an_object_that_is_being_deleted_is_left_alone() -> None:
    bench = Bench()
    document = body(spec(), deletionTimestamp="2026-01-01T00:00:00Z", resourceVersion="2")
    bench.cache.videos.put(Video.of(document))
    bench.reconcile()
    assert bench.writes() == []
