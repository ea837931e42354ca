"""Effects and their errors, with an API server of dicts."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.operator.fake_api import FakeApi
from tests.operator.fake_cluster import START, FakeCluster, body, config, spec

from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.api import ApiError
from talkingvideo_clients.kube.objects import Job, Video
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.effects import Effects, NameConflictError
from talkingvideo_operator.events import EventRecorder
from talkingvideo_operator.handlers import EventHandlers
from talkingvideo_operator.logs import ProgressReader
from talkingvideo_operator.reconciler import Reconciler
from talkingvideo_operator.workqueue import WorkQueue


def fake_api() -> Any:
    return FakeApi()


class Bench:
    def __init__(self, document: Any = None, **settings: Any) -> None:
        self.api = fake_api()
        self.cache, self.queue = Cache(), WorkQueue()
        self.config = config(**settings)
        self.recorder = EventRecorder(self.api, "test")
        effects = Effects(self.api, self.cache, self.config, self.recorder)
        self.reconciler = Reconciler(self.cache, self.queue, effects, ProgressReader(self.api), self.config)
        document = body(document or spec())
        self.uid = document["metadata"]["uid"]
        self.api.objects["talkingvideos", "hello"] = document
        self.cache.videos.update(Video.of(document))

    def reconcile(self) -> None:
        async def get() -> None:
            await self.reconciler.reconcile(self.uid)

        asyncio.run(get())

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
    bench.cache.jobs.delete(bench.cache.jobs.by_owner(bench.uid)[0])
    fresh = Cache()
    fresh.videos.update(Video.of(body(spec())))
    bench.api.objects["talkingvideos", "hello"]["metadata"]["resourceVersion"] = "1"
    bench.cache.videos, bench.cache.jobs = fresh.videos, fresh.jobs
    bench.reconcile()
    assert len([key for key in bench.api.objects if key[0] == "jobs"]) == 1
    assert len(bench.cache.jobs.by_owner(bench.uid)) == 1


def test_a_job_of_somebody_else_is_never_taken_over() -> None:
    bench = Bench()
    bench.reconcile()
    (key,) = [key for key in bench.api.objects if key[0] == "jobs"]
    bench.api.objects[key]["metadata"]["ownerReferences"][0]["uid"] = "another"
    fresh = Cache()
    fresh.videos.update(Video.of({**body(spec()), "metadata": {**body(spec())["metadata"], "resourceVersion": "9"}}))
    bench.cache.videos, bench.cache.jobs = fresh.videos, fresh.jobs
    with pytest.raises((NameConflictError, ApiError)):
        bench.reconcile()
    assert bench.cache.jobs.by_owner(bench.uid) == ()


def test_a_refused_job_is_told_and_status_is_written_all_the_same() -> None:
    bench = Bench()
    bench.api.refuse["create jobs"] = ApiError(403, "exceeded quota")
    with pytest.raises(ApiError):
        bench.reconcile()
    assert "status" in bench.writes()
    assert bench.cache.jobs.by_owner(bench.uid) == ()
    _, event = bench.recorder._pending.get_nowait()
    assert (event.reason.value, event.message) == ("CreateRefused", "403: exceeded quota")


def test_a_status_written_by_somebody_else_meanwhile_is_not_overwritten() -> None:
    bench = Bench()
    bench.api.objects["talkingvideos", "hello"]["metadata"]["resourceVersion"] = "2"
    with pytest.raises(ApiError) as error:
        bench.reconcile()
    assert error.value.status == 409
    bench.api.calls.clear()
    bench.cache.videos.update(Video.of(bench.api.objects["talkingvideos", "hello"]))
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
    bench.cache.videos.update(Video.of(suspended))
    bench.reconcile()
    assert bench.writes()[-2:] == ["delete jobs", "status"]


def test_an_object_that_is_being_deleted_is_left_alone() -> None:
    bench = Bench()
    document = body(spec(), deletionTimestamp="2026-01-01T00:00:00Z", resourceVersion="2")
    bench.cache.videos.update(Video.of(document))
    bench.reconcile()
    assert bench.writes() == []


def test_places_are_taken_before_the_first_call_so_that_no_other_video_gets_them() -> None:
    bench = Bench(maxParallel=1)
    for uid in ("a", "b"):
        document = body(spec(), uid=uid, name=uid)
        document["status"] = rendering(Video.of(document)) | {"phase": "Suspended"}
        bench.api.objects["talkingvideos", uid] = document
        bench.cache.videos.update(Video.of(document))
        stale = Job(f"stray-{uid}", "ns", f"old-{uid}", uid, 1, "old", Stage.PREPARE, None, 0, created=START)
        bench.cache.jobs.update(stale)
    bench.cache.videos.delete(Video.of(bench.api.objects["talkingvideos", "hello"]))

    async def scenario() -> None:
        await asyncio.gather(bench.reconciler.reconcile("a"), bench.reconciler.reconcile("b"))

    asyncio.run(scenario())
    assert bench.api.calls.count("create jobs") == 1


def rendering(video: Any) -> Any:
    cluster = FakeCluster(document=spec())
    cluster.video = replace(cluster.video, name=video.name, uid=video.uid)
    cluster.prepared()
    chunks = cluster.status.chunks.model_copy(update={"active": ()})
    return cluster.status.model_copy(update={"chunks": chunks}).to_dict()


def test_ending_ones_own_jobs_wakes_a_video_that_waits_for_their_places() -> None:
    bench = Bench(spec(suspend=True), maxParallel=1)
    waiting = body(spec(), uid="waiting", name="waiting")
    waiting["status"] = rendering(Video.of(waiting))
    bench.cache.videos.update(Video.of(waiting))
    revision = Video.of(body(spec())).revision or ""
    bench.cache.jobs.update(Job("j", "ns", "j", bench.uid, 1, revision, Stage.RENDER, 0, 0, created=START))
    bench.reconcile()
    assert "delete jobs" in bench.writes()
    assert len(bench.queue) == 1


def test_a_video_whose_jobs_are_refused_keeps_no_place_from_the_others() -> None:
    bench = Bench(maxParallel=3)
    refused = body(spec(), uid="a", name="a")
    refused["status"] = rendering(Video.of(refused))
    bench.cache.videos.update(Video.of(refused))
    assert bench.reconciler._admission().admitted() == ["a"]
    bench.reconciler._retries["a"] += 1
    assert bench.reconciler._admission().admitted() == []


def test_a_namesake_of_another_namespace_is_no_child() -> None:
    bench = Bench()
    bench.reconcile()
    (own,) = bench.cache.jobs.by_owner(bench.uid)
    bench.cache.jobs.update(replace(own, namespace="elsewhere", name="forged", uid="f", revision="old"))
    bench.api.calls.clear()
    bench.reconcile()
    assert bench.writes() == []


def test_what_is_kept_about_a_video_goes_with_it() -> None:
    bench = Bench()
    bench.reconcile()
    event_handlers = EventHandlers(bench.cache, bench.queue, lambda: None)

    async def scenario() -> None:
        await event_handlers.video({"type": "DELETED", "object": bench.api.objects["talkingvideos", "hello"]})
        async with bench.queue.get() as key:
            await bench.reconciler.reconcile(key)

    asyncio.run(scenario())
    assert bench.reconciler._last_write == {}


def test_turns_without_anything_to_do_leave_time_for_others() -> None:
    bench = Bench()

    async def scenario() -> int:
        for number in range(100):
            bench.queue.add(f"gone-{number}")
        worker = asyncio.create_task(bench.reconciler.work())
        await asyncio.sleep(0)
        left = len(bench.queue)
        worker.cancel()
        return left

    assert asyncio.run(scenario()) > 90


def test_an_order_that_is_there_costs_no_write_and_a_full_quota_does_not_refuse_it() -> None:
    bench = Bench()
    bench.reconcile()
    bench.api.refuse["create configmaps"] = ApiError(403, "exceeded quota: count/configmaps")
    bench.cache.jobs.delete(bench.cache.jobs.by_owner(bench.uid)[0])
    del bench.api.objects[next(key for key in bench.api.objects if key[0] == "jobs")]
    bench.api.calls.clear()
    bench.reconcile()
    assert bench.writes() == ["create jobs"]
