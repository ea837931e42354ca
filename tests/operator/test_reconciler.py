"""The reconciler and its effects, with an API server in memory."""

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.incompressible import incompressible
from tests.operator.fake_api import FakeApi
from tests.operator.fake_cluster import START, FakeCluster, body, config, spec

from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.api import ApiError, Cause
from talkingvideo_clients.kube.objects import Job, Video
from talkingvideo_clients.kube.records import VideoRecord
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.effects import Effects, NameConflictError
from talkingvideo_operator.events import EventRecorder
from talkingvideo_operator.handlers import EventHandlers
from talkingvideo_operator.logs import ProgressReader
from talkingvideo_operator.namespaces import NamespaceReader
from talkingvideo_operator.reconciler import Reconciler
from talkingvideo_operator.workqueue import WorkQueue


def fake_api() -> Any:
    return FakeApi()


class Operator:
    def __init__(self, document: Any = None, **settings: Any) -> None:
        self.api = fake_api()
        self.cache, self.queue = Cache(), WorkQueue()
        self.config = config(**settings)
        self.recorder = EventRecorder(self.api, "test")
        effects = Effects(self.api, self.cache, self.config, self.recorder)
        progress, namespaces = ProgressReader(self.api), NamespaceReader(self.api)
        self.reconciler = Reconciler(self.cache, self.queue, effects, progress, namespaces, self.config)
        document = body(document or spec())
        self.uid = document["metadata"]["uid"]
        self.api.objects["talkingvideos", "hello"] = document
        self.cache.videos.update(VideoRecord.of(document))

    def reconcile(self) -> None:
        async def run() -> None:
            await self.reconciler.reconcile(self.uid)

        asyncio.run(run())

    def refuse(self, uid: str) -> None:
        async def run() -> None:
            self.reconciler._requeue_after(ApiError(403, "exceeded quota"), uid)

        asyncio.run(run())

    def writes(self) -> Any:
        return [call for call in self.api.calls if not call.startswith("get")]


def test_a_reconcile_creates_the_stage_input_before_the_job_and_writes_status_last() -> None:
    operator = Operator()
    operator.reconcile()
    assert operator.writes() == ["create configmaps", "create jobs", "status"]


def test_a_second_reconcile_writes_nothing_although_no_watch_has_reported_yet() -> None:
    operator = Operator()
    operator.reconcile()
    operator.reconcile()
    assert len(operator.writes()) == 3


def test_an_existing_job_is_adopted_by_its_owner_reference() -> None:
    operator = Operator()
    operator.reconcile()
    operator.cache.jobs.delete(operator.cache.jobs.by_owner(operator.uid)[0])
    fresh = Cache()
    fresh.videos.update(VideoRecord.of(body(spec())))
    operator.api.objects["talkingvideos", "hello"]["metadata"]["resourceVersion"] = "1"
    operator.cache.videos, operator.cache.jobs = fresh.videos, fresh.jobs
    operator.reconcile()
    assert len([key for key in operator.api.objects if key[0] == "jobs"]) == 1
    assert len(operator.cache.jobs.by_owner(operator.uid)) == 1


def test_a_job_of_another_owner_is_never_taken_over() -> None:
    operator = Operator()
    operator.reconcile()
    (key,) = [key for key in operator.api.objects if key[0] == "jobs"]
    operator.api.objects[key]["metadata"]["ownerReferences"][0]["uid"] = "another"
    fresh = Cache()
    fresh.videos.update(
        VideoRecord.of({**body(spec()), "metadata": {**body(spec())["metadata"], "resourceVersion": "9"}})
    )
    operator.cache.videos, operator.cache.jobs = fresh.videos, fresh.jobs
    with pytest.raises((NameConflictError, ApiError)):
        operator.reconcile()
    assert operator.cache.jobs.by_owner(operator.uid) == ()


@pytest.mark.parametrize("video", ["deleted", "deleting", "there"])
def test_the_jobs_that_a_video_leaves_behind_are_deleted(video: str) -> None:
    """``kubectl delete --cascade=orphan`` would otherwise give an author as many GPUs as they like: nobody counts the Jobs."""
    operator = Operator()
    operator.reconcile()
    (key,) = [key for key in operator.api.objects if key[0] == "jobs"]
    job = operator.api.objects[key]
    del job["metadata"]["ownerReferences"]
    operator.cache.jobs.update(Job.of({**job, "metadata": {**job["metadata"], "resourceVersion": "9999"}}))
    document = operator.api.objects["talkingvideos", "hello"]
    if video == "deleted":
        operator.cache.videos.delete(VideoRecord.of(document))
    if video == "deleting":
        document["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "9999"}
        operator.cache.videos.update(VideoRecord.of(document))
    operator.reconcile()
    assert operator.api.calls.count("delete jobs") == 1
    assert (key in operator.api.objects) == (video == "there")  # it is made again, with an owner


@pytest.mark.parametrize("whose", ["ours", "nobodys"])
@pytest.mark.parametrize(
    "change", [{"data": {"stage-input.json": "{}"}}, {"immutable": False}, {"binaryData": {"x": "eA=="}}, {}]
)
def test_a_prepared_stage_input_is_shown_as_a_conflict_and_neither_used_nor_overwritten(
    whose: str, change: Any
) -> None:
    """Whoever may create ConfigMaps knows the name, the owner's uid, and all but the content."""
    operator = Operator()
    operator.reconcile()
    (key,) = [key for key in operator.api.objects if key[0] == "configmaps"]
    planted = operator.api.objects[key] | change
    if whose == "nobodys":
        planted["metadata"] = {**planted["metadata"], "ownerReferences": []}
    attacked = Operator()
    attacked.api.objects[key] = planted
    if whose == "ours" and not change:
        attacked.reconcile()
        return
    with pytest.raises(NameConflictError):
        attacked.reconcile()
    assert attacked.api.objects[key] == planted
    assert not [key for key in attacked.api.objects if key[0] == "jobs"]
    _, event = attacked.recorder._pending.get_nowait()
    assert event.reason.value == "NameConflict"
    assert key[1] in event.message


def test_every_container_of_a_job_pins_the_content_of_the_stage_input() -> None:
    operator = Operator()
    operator.reconcile()
    ((_, name),) = [key for key in operator.api.objects if key[0] == "configmaps"]
    content = operator.api.objects["configmaps", name]["data"]["stage-input.json"]
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    assert name.endswith(sha256[:16])
    (job,) = [each for key, each in operator.api.objects.items() if key[0] == "jobs"]
    pod = job["spec"]["template"]["spec"]
    for container in [*pod["initContainers"], *pod["containers"]]:
        assert container["args"][container["args"].index("--stage-input-sha256") + 1] == sha256
    assert {"name": name} in [volume.get("configMap") for volume in pod["volumes"]]


def test_a_changed_profile_makes_another_stage_input_instead_of_a_conflict() -> None:
    operator = Operator()
    operator.reconcile()
    changed = Operator(profile={"network": {"allowedHosts": ["example.com"]}})
    changed.api.objects |= {key: each for key, each in operator.api.objects.items() if key[0] == "configmaps"}
    changed.reconcile()
    assert len([key for key in changed.api.objects if key[0] == "configmaps"]) == 2


def test_a_refused_job_is_recorded_and_status_is_written_nevertheless() -> None:
    operator = Operator()
    operator.api.refuse["create jobs"] = ApiError(403, "exceeded quota")
    with pytest.raises(ApiError):
        operator.reconcile()
    assert "status" in operator.writes()
    assert operator.cache.jobs.by_owner(operator.uid) == ()
    _, event = operator.recorder._pending.get_nowait()
    assert (event.reason.value, event.message) == ("CreateRefused", "403: exceeded quota")


INVALID = ApiError(422, "Job is invalid", "Invalid", (Cause("spec.template.spec.nodeSelector", "FieldValueInvalid"),))


def test_a_job_that_the_api_servers_validation_refuses_ends_the_video_in_words() -> None:
    operator = Operator()
    operator.api.refuse["create jobs"] = INVALID
    operator.reconcile()
    video = operator.cache.video(operator.uid)
    assert video is not None and video.status.failure is not None
    assert (video.status.phase, video.status.failure.code.value) == ("Failed", "E_INPUT_VALIDATION")
    assert "Job is invalid" in video.status.failure.message
    operator.api.calls.clear()
    operator.reconcile()
    assert operator.writes() == []


def test_a_stage_input_that_the_api_servers_validation_refuses_ends_the_video_too() -> None:
    operator = Operator()
    too_long = (Cause("data", "FieldValueTooLong"),)
    operator.api.refuse["create configmaps"] = ApiError(422, "ConfigMap is invalid", "Invalid", too_long)
    operator.reconcile()
    video = operator.cache.video(operator.uid)
    assert video is not None and video.status.phase == "Failed"


@pytest.mark.parametrize(
    "refusal",
    [
        ApiError(403, "exceeded quota", "Forbidden"),
        ApiError(422, "ValidatingAdmissionPolicy 'p' denied request", "Invalid", (Cause("", ""),)),
        ApiError(422, 'admission webhook "w" denied the request', "Invalid", INVALID.causes),
    ],
)
def test_a_quota_a_policy_or_a_webhook_refuses_for_a_while_only(refusal: ApiError) -> None:
    operator = Operator()
    operator.api.refuse["create jobs"] = refusal
    with pytest.raises(ApiError):
        operator.reconcile()
    video = operator.cache.video(operator.uid)
    assert video is not None and video.status.phase == "Preparing"
    operator.api.refuse.clear()
    operator.reconcile()
    assert len(operator.cache.jobs.by_owner(operator.uid)) == 1


def test_a_status_that_was_written_meanwhile_is_not_overwritten() -> None:
    operator = Operator()
    operator.api.objects["talkingvideos", "hello"]["metadata"]["resourceVersion"] = "2"
    with pytest.raises(ApiError) as error:
        operator.reconcile()
    assert error.value.status == 409
    operator.api.calls.clear()
    operator.cache.videos.update(VideoRecord.of(operator.api.objects["talkingvideos", "hello"]))
    operator.reconcile()
    assert operator.writes() == ["status"]


def test_a_job_that_no_longer_exists_counts_as_deleted() -> None:
    operator = Operator()
    operator.reconcile()
    (key,) = [key for key in operator.api.objects if key[0] == "jobs"]
    del operator.api.objects[key]
    document = operator.api.objects["talkingvideos", "hello"]
    suspended = {**document, "spec": spec(suspend=True)}
    suspended["metadata"] = {**document["metadata"], "generation": 2, "resourceVersion": "900"}
    operator.api.objects["talkingvideos", "hello"] = suspended
    operator.cache.videos.update(VideoRecord.of(suspended))
    operator.reconcile()
    assert operator.writes()[-2:] == ["delete jobs", "status"]


def test_a_video_that_is_being_deleted_is_left_alone() -> None:
    operator = Operator()
    document = body(spec(), deletionTimestamp="2026-01-01T00:00:00Z", resourceVersion="2")
    operator.cache.videos.update(VideoRecord.of(document))
    operator.reconcile()
    assert operator.writes() == []


def test_slots_are_taken_before_the_first_call_so_that_no_other_video_gets_them() -> None:
    operator = Operator(maxParallel=1)
    for uid in ("a", "b"):
        document = body(spec(), uid=uid, name=uid)
        document["status"] = rendering(Video.of(document)) | {"phase": "Suspended"}
        operator.api.objects["talkingvideos", uid] = document
        operator.cache.videos.update(VideoRecord.of(document))
        stale = Job(f"stale-{uid}", "ns", f"old-{uid}", uid, 1, "old", Stage.PREPARE, None, 0, created=START)
        operator.cache.jobs.update(stale)
    operator.cache.videos.delete(VideoRecord.of(operator.api.objects["talkingvideos", "hello"]))

    async def scenario() -> None:
        await asyncio.gather(operator.reconciler.reconcile("a"), operator.reconciler.reconcile("b"))

    asyncio.run(scenario())
    assert operator.api.calls.count("create jobs") == 1


def rendering(video: Any) -> Any:
    cluster = FakeCluster(document=spec())
    cluster.video = replace(cluster.video, name=video.name, uid=video.uid)
    cluster.prepared()
    chunks = cluster.status.chunks.model_copy(update={"active": ()})
    return cluster.status.model_copy(update={"chunks": chunks}).to_dict()


@pytest.mark.parametrize("field", ["suspend", "cancel"])
def test_deleting_jobs_enqueues_a_video_that_waits_for_their_slots(field: str) -> None:
    operator = Operator(spec(**{field: True}), maxParallel=1)
    waiting = body(spec(), uid="waiting", name="waiting")
    waiting["status"] = rendering(Video.of(waiting))
    operator.cache.videos.update(VideoRecord.of(waiting))
    revision = Video.of(body(spec())).revision or ""
    operator.cache.jobs.update(Job("j", "ns", "j", operator.uid, 1, revision, Stage.RENDER, 0, 0, created=START))
    operator.reconcile()
    assert any(write.startswith(("delete jobs", "delete all jobs")) for write in operator.writes())
    assert len(operator.queue) == 1


def test_a_video_whose_jobs_are_refused_takes_no_slot_from_the_others() -> None:
    operator = Operator(maxParallel=3)
    refused = body(spec(), uid="a", name="a")
    refused["status"] = rendering(Video.of(refused))
    operator.cache.videos.update(VideoRecord.of(refused))
    assert operator.reconciler._slots.admission().admitted() == ["a"]
    operator.refuse("a")
    assert operator.reconciler._slots.admission().admitted() == []


def test_jobs_of_no_existing_video_hold_no_slots() -> None:
    operator = Operator(maxParallel=1)
    waiting = body(spec(), uid="a", name="a")
    waiting["status"] = rendering(Video.of(waiting))
    operator.cache.videos.update(VideoRecord.of(waiting))
    forged = Job("f1", "ns", "f1", "no video", 1, "r", Stage.RENDER, 0, 0, created=START)
    operator.cache.jobs.update(forged)
    operator.cache.jobs.update(replace(forged, uid="f2", namespace="elsewhere", owner="a"))
    assert operator.reconciler._slots.admission().admitted() == ["a"]
    operator.cache.jobs.update(replace(forged, uid="own", owner="a"))
    assert operator.reconciler._slots.admission().admitted() == []


def test_a_job_of_another_namespace_is_no_child() -> None:
    operator = Operator()
    operator.reconcile()
    (own,) = operator.cache.jobs.by_owner(operator.uid)
    operator.cache.jobs.update(replace(own, namespace="elsewhere", name="forged", uid="f", revision="old"))
    operator.api.calls.clear()
    operator.reconcile()
    assert operator.writes() == []


def test_nothing_is_remembered_about_a_deleted_video() -> None:
    operator = Operator()
    operator.reconcile()
    event_handlers = EventHandlers(operator.cache, operator.queue, lambda: None)

    async def scenario() -> None:
        await event_handlers.video({"type": "DELETED", "object": operator.api.objects["talkingvideos", "hello"]})
        async with operator.queue.get() as key:
            await operator.reconciler.reconcile(key)

    asyncio.run(scenario())
    assert operator.reconciler._last_write == {}


def test_reconciles_without_writes_leave_time_for_other_tasks() -> None:
    operator = Operator()

    async def scenario() -> int:
        for number in range(100):
            operator.queue.add(f"gone-{number}")
        worker = asyncio.create_task(operator.reconciler.work())
        await asyncio.sleep(0)
        left = len(operator.queue)
        worker.cancel()
        return left

    assert asyncio.run(scenario()) > 90


def test_an_existing_stage_input_costs_no_write_and_a_full_quota_does_not_refuse_it() -> None:
    operator = Operator()
    operator.reconcile()
    operator.api.refuse["create configmaps"] = ApiError(403, "exceeded quota: count/configmaps")
    operator.cache.jobs.delete(operator.cache.jobs.by_owner(operator.uid)[0])
    del operator.api.objects[next(key for key in operator.api.objects if key[0] == "jobs")]
    operator.api.calls.clear()
    operator.reconcile()
    assert operator.writes() == ["create jobs"]


def stage_inputs(operator: Operator) -> list[dict[str, Any]]:
    return [body for (plural, _), body in operator.api.objects.items() if plural == "configmaps"]


def test_a_video_that_starts_again_with_other_values_gets_another_stage_input() -> None:
    operator = Operator()
    operator.reconcile()
    operator.config.profiles["default"] = config(profile={"workerImage": "worker:2"}).profiles["default"]
    operator.reconcile()
    values = [json.loads(each["data"]["stage-input.json"])["effective"] for each in stage_inputs(operator)]
    assert values[-1]["workerImage"] == "worker:2"


def test_a_stage_input_that_somebody_has_prepared_is_not_used() -> None:
    """Its owner reference is that of the video, which everybody who may create a ConfigMap can write."""
    honest, operator = Operator(), Operator()
    honest.reconcile()
    (made,) = stage_inputs(honest)
    forged = {**made, "data": {"stage-input.json": "{}"}, "metadata": {**made["metadata"], "labels": {}}}
    operator.api.objects["configmaps", forged["metadata"]["name"]] = forged
    with pytest.raises(NameConflictError):
        operator.reconcile()
    assert "create jobs" not in operator.api.calls


def test_a_large_video_is_read_when_its_content_is_needed_and_its_stage_input_is_complete() -> None:
    inline = f"data:image/png;base64,{incompressible(12_000, 1)}"
    text = incompressible(40_000)
    operator = Operator(spec(source={"image": {"uri": inline}}, speech={"speakers": [{"text": text}]}))
    video = operator.cache.video(operator.uid)
    assert video is not None
    assert not video.complete
    operator.reconcile()
    (stage_input,) = (found for (plural, _), found in operator.api.objects.items() if plural == "configmaps")
    assert inline in stage_input["data"]["stage-input.json"]
    assert text in stage_input["data"]["stage-input.json"]
    assert "get talkingvideos" in operator.api.calls


def test_a_large_video_that_has_ended_is_not_read_again() -> None:
    operator = Operator(
        spec(
            prompt=incompressible(4_000, 1),
            negativePrompt=incompressible(4_000, 2),
            priority="unknown",
        )
    )
    operator.reconcile()
    assert operator.api.objects["talkingvideos", "hello"]["status"]["phase"] == "Failed"
    operator.api.calls.clear()
    operator.reconcile()
    assert operator.api.calls == []


def test_a_large_video_that_was_deleted_meanwhile_is_left_alone() -> None:
    operator = Operator(spec(source={"image": {"uri": "data:image/png;base64," + incompressible(12_000)}}))
    del operator.api.objects["talkingvideos", "hello"]
    operator.reconcile()
    assert operator.writes() == []
