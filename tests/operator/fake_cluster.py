"""A cluster in memory: the API server, the Job controller and the kubelet, as far as `plan` sees them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.operator.termination_messages import success_report

from talkingvideo_api import names
from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import (
    FailureReport,
    RenderReport,
    Report,
    encode_report,
)
from talkingvideo_api.spec import Output
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_clients.kube.objects import Container, Job, Pod, Video
from talkingvideo_operator.planning.admission import Admission
from talkingvideo_operator.planning.context import Children
from talkingvideo_operator.planning.decision import CreateJob, Decision, DeleteChildren, DeleteJob, EnsureStageInput
from talkingvideo_operator.planning.locations import result_location
from talkingvideo_operator.planning.namespaces import Namespace
from talkingvideo_operator.planning.plan import plan
from talkingvideo_operator.planning.status import is_significant
from talkingvideo_operator.settings import OperatorConfig

START = datetime(2026, 1, 1, tzinfo=UTC)


def config(**changes: Any) -> OperatorConfig:
    profile = {
        "workerImage": "worker:1",
        "engine": "preview",
        "stores": {"default": {"s3": {"bucket": "media", "secretName": "s3"}}},
        **changes.pop("profile", {}),
    }
    return OperatorConfig.model_validate({"profiles": {"default": profile}, **changes})


def spec(**changes: Any) -> dict[str, Any]:
    return {
        "source": {"image": {"uri": "https://example.com/face.png"}},
        "speech": {"speakers": [{"audio": {"uri": "s3://media/ns/hello.wav"}}]},
        **changes,
    }


def body(document: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": "hello",
            "namespace": "ns",
            "uid": "11111111-2222-3333-4444-555555555555",
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **metadata,
        },
        "spec": document,
    }


def created_jobs(decision: Decision) -> list[tuple[Stage, int | None, int]]:
    """Stage, chunk and attempt of each Job that a decision creates."""
    return [(job.stage, job.chunk, job.attempt) for job in decision.creates if isinstance(job, CreateJob)]


@dataclass
class FakeCluster:
    """One video, and the cluster that its Jobs run in."""

    settings: OperatorConfig = field(default_factory=config)
    document: dict[str, Any] = field(default_factory=spec)
    chunks: int = 5
    missing: tuple[int, ...] | None = None
    chained: bool = False
    now: datetime = START
    namespace: Namespace = field(default_factory=Namespace)

    def __post_init__(self) -> None:
        self.serial = itertools.count(1)
        self.video: Any = Video.of(body(self.document))
        self.jobs: dict[str, Job] = {}
        self.pods: dict[str, Pod] = {}
        self.created: list[str] = []
        self.in_store: set[int] = set()
        self.admission = Admission()
        self.decision: Any = None
        self.status_writes = 0

    # --- the operator -------------------------------------------------------------------------------------------------

    def decide(self) -> Decision:
        grouped: dict[str, tuple[Pod, ...]] = {}
        for pod in self.pods.values():
            grouped[pod.job_uid] = (*grouped.get(pod.job_uid, ()), pod)
        children = Children(tuple(self.jobs.values()), grouped)
        return plan(self.video, children, self.settings, self.now, lambda: self.admission, self.namespace)

    def reconcile(self, *, crash_after: int | None = None) -> Decision:
        """Carry out a decision; the operator is killed after ``crash_after`` effects."""
        decision = self.decision = self.decide()
        effects = [*decision.deletes, *decision.creates, decision.status]
        for effect in effects if crash_after is None else effects[:crash_after]:
            match effect:
                case DeleteJob(job):
                    self.delete_job(job.name)
                case DeleteChildren(keep_revision):
                    for job in list(self.jobs.values()):
                        if job.revision != keep_revision:
                            self.delete_job(job.name)
                case CreateJob():
                    self._create(effect)
                case TalkingVideoStatus():
                    self.status_writes += is_significant(self.video.status, effect)
                    self.video = replace(self.video, status=TalkingVideoStatus.model_validate(effect.to_dict()))
                case EnsureStageInput():
                    pass
        return decision

    def settle(self, rounds: int = 5) -> Decision:
        """Reconcile until nothing changes."""
        for _ in range(rounds):
            before = self.video.status
            decision = self.reconcile()
            if self.video.status == before and not decision.creates and not decision.deletes:
                break
        return decision

    @property
    def reused(self) -> set[int]:
        """Chunks that prepare finds finished."""
        return set() if self.missing is None else set(range(self.chunks)) - set(self.missing)

    @property
    def status(self) -> Any:
        return self.video.status

    @property
    def phase(self) -> str:
        return self.status.phase.value if self.status.phase else ""

    def condition(self, kind: str) -> Any:
        return next(c for c in self.status.conditions if c.type.value == kind)

    # --- the user -----------------------------------------------------------------------------------------------------

    def edit(self, document: dict[str, Any], **annotations: str) -> None:
        generation = self.video.generation + 1
        fresh = Video.of(body(document, generation=generation, annotations=annotations))
        self.document = document
        if fresh.revision != self.video.revision:
            self.in_store = set()
        self.video = replace(fresh, status=self.video.status)

    def retry(self, token: str) -> None:
        self.video = replace(self.video, retry=token)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # --- the cluster --------------------------------------------------------------------------------------------------

    def _create(self, create: CreateJob) -> None:
        uid, revision = self.video.uid, self.video.revision or ""
        name = names.job_name(self.video.name, uid, revision, create.stage, create.attempt, create.chunk)
        assert name not in self.jobs, f"{name} exists already"
        self.created.append(name)
        number = next(self.serial)
        self.jobs[name] = Job(
            uid=f"job-{number}",
            namespace=self.video.namespace,
            name=name,
            owner=uid,
            resource_version=number,
            revision=revision,
            stage=create.stage,
            chunk=create.chunk,
            attempt=create.attempt,
            created=self.now,
        )
        self.add_pod(self.jobs[name])

    def add_pod(self, job: Job) -> None:
        number = next(self.serial)
        self.pods[f"pod-{number}"] = Pod(
            uid=f"pod-{number}",
            namespace=job.namespace,
            name=f"{job.name}-{number}",
            owner=job.owner,
            job_uid=job.uid,
            resource_version=number,
            phase="Pending",
            created=self.now,
        )

    def job(self, stage: Stage, chunk: int | None = None, attempt: int | None = None) -> Job:
        """The newest matching Job."""
        found = [j for j in self.jobs.values() if j.stage is stage and j.chunk == chunk]
        found = [j for j in found if attempt is None or j.attempt == attempt]
        return max(found, key=lambda j: j.resource_version)

    def pod_of(self, job: Job) -> Pod:
        return max((p for p in self.pods.values() if p.job_uid == job.uid), key=lambda p: p.resource_version)

    def active(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.unfinished]

    def set_pod(self, pod: Pod, **changes: Any) -> None:
        self.pods[pod.uid] = replace(pod, resource_version=next(self.serial), **changes)

    def set_job(self, job: Job, **changes: Any) -> None:
        self.jobs[job.name] = replace(job, resource_version=next(self.serial), **changes)

    def run_pod(self, job: Job) -> None:
        container = Container("main", init=False, started=self.now)
        self.set_pod(self.pod_of(job), phase="Running", containers=(container,))

    def succeed_pod(self, job: Job, seconds: float = 30, message: str | None = None) -> None:
        """The pod succeeds; its Job does not say so yet."""
        text = encode_report(self.report(job)) if message is None else message
        container = Container(
            "main",
            init=False,
            started=self.now - timedelta(seconds=seconds),
            ended=self.now,
            exit_status=0,
            message=text,
        )
        self.set_pod(self.pod_of(job), phase="Succeeded", containers=(container,))
        if job.chunk is not None and job.revision == self.video.revision:
            self.in_store.add(job.chunk)

    def complete_job(self, job: Job) -> None:
        self.set_job(self.jobs[job.name], complete=True, ended=self.now)

    def finish(self, job: Job) -> None:
        self.succeed_pod(job)
        self.complete_job(job)

    def finish_chunk_with(self, chunk: int, **fields: Any) -> None:
        """A chunk is finished, and its report says more than usual."""
        job = self.job(Stage.RENDER, chunk)
        self.succeed_pod(job, message=encode_report(RenderReport(chunk=chunk, key="a" * 64, frames=100, **fields)))
        self.complete_job(job)

    def fail(self, job: Job, code: ErrorCode = ErrorCode.FFMPEG, **container: Any) -> None:
        """The pod reports a failure, and the Job controller gives up."""
        failure = FailureReport(code=code, message="it broke", retryable=ERRORS[code].retryable)
        details = {
            "exit_status": ERRORS[code].exit_status,
            "message": encode_report(failure),
            **container,
        }
        ended = Container("main", init=False, started=self.now, ended=self.now, **details)
        self.set_pod(self.pod_of(job), phase="Failed", containers=(ended,))
        self.set_job(self.jobs[job.name], failed=True, ended=self.now)

    def report_lost_files(self, job: Job) -> None:
        """The pod reports that the store has lost files that it needs."""
        failure = FailureReport(code=ErrorCode.WORKSPACE, message="it is gone", retryable=False)
        self.fail(job, ErrorCode.WORKSPACE, message=encode_report(failure))

    def evict(self, job: Job) -> None:
        """The pod is evicted, and the Job controller creates another one."""
        self.set_pod(self.pod_of(job), phase="Failed", disrupted=True, reason="Evicted")
        self.add_pod(job)

    def lose_node(self, job: Job) -> None:
        """The pod is marked for deletion, and no kubelet is left to confirm it."""
        self.set_pod(self.pod_of(job), phase="Running", deletion=self.now)

    def delete_job(self, name: str) -> None:
        job = self.jobs.pop(name, None)
        if job:
            self.pods = {uid: pod for uid, pod in self.pods.items() if pod.job_uid != job.uid}

    def report(self, job: Job) -> Report:
        return self.success_report(job, self.missing)

    def success_report(self, job: Job, missing: Iterable[int] | None) -> Report:
        store, output = self.settings.profiles["default"].stores["default"], self.video.spec.output or Output()
        result = str(result_location(self.video, output, store, self.settings.profiles["default"].allow))
        return success_report(job.stage, self.chunks, job.chunk, missing, chained=self.chained, result=result)

    def prepare_ended(self) -> FakeCluster:
        """Continue until prepare has reported, but the operator has not read the report."""
        self.reconcile()
        self.finish(self.job(Stage.PREPARE))
        return self

    def prepared(self) -> FakeCluster:
        """Continue until chunks are being rendered."""
        self.prepare_ended().reconcile()
        return self
