"""What one decision is made from: the video, its children, the configuration and the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from talkingvideo_api.conditions import Phase, Reason
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import Progress
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_clients.kube.objects import Job, Pod, Video
from talkingvideo_operator.planning.admission import Admission
from talkingvideo_operator.planning.decision import Delete, DeleteJob, DeleteChildren, Event
from talkingvideo_operator.settings import OperatorConfig


@dataclass(frozen=True)
class Children:
    """Jobs, pods, and what the pods last said in their logs."""

    jobs: tuple[Job, ...] = ()
    pods: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    """By their Job's uid."""
    progress: Mapping[str, Progress] = field(default_factory=dict)
    """By their Job's uid."""

    def of_revision(self, revision: str | None) -> Children:
        """Those of one revision."""
        return Children(tuple(job for job in self.jobs if job.revision == revision), self.pods, self.progress)

    def of_stage(self, stage: Stage) -> dict[int | None, list[Job]]:
        """A stage's Jobs by chunk (None where the stage has no chunks)."""
        found: dict[int | None, list[Job]] = {}
        for job in self.jobs:
            if job.stage is stage:
                found.setdefault(job.chunk, []).append(job)
        return found

    def pods_of(self, job: Job) -> tuple[Pod, ...]:
        """The pods of one Job, replaced ones included."""
        return self.pods.get(job.uid, ()) if job.uid else ()


DEFAULT_PROFILE = "default"


@dataclass(frozen=True)
class ReconcileContext:
    """A video, everything around it, and the questions that several steps ask."""

    video: Video
    spec: TalkingVideoSpec
    children: Children
    config: OperatorConfig
    now: datetime
    admission: Callable[[], Admission]

    @property
    def profile_name(self) -> str:
        """The profile that the object names, or the default one."""
        return self.spec.profile or DEFAULT_PROFILE

    def retry_requested(self, status: TalkingVideoStatus | None = None) -> bool:
        """Whether the retry annotation asks a failed revision to be tried again."""
        status = status or self.video.status
        asked = self.video.retry is not None and self.video.retry != status.observed_retry
        return asked and status.phase is Phase.FAILED

    def lifecycle_events(self) -> tuple[Event, ...]:
        """Events of a revision that is looked at for the first time, or again on request."""
        known = self.video.status
        if known.revision is None:
            return (Event(Reason.ACCEPTED, f"revision {self.video.revision}"),)
        if known.revision != self.video.revision:
            return (Event(Reason.REVISED, f"revision {self.video.revision} replaces {known.revision}"),)
        if known.phase is Phase.SUSPENDED and not self.spec.suspend:
            return (Event(Reason.RESUMED, "work goes on"),)
        if self.retry_requested():
            return (Event(Reason.RETRY_REQUESTED, "failures are forgotten, finished chunks kept"),)
        return ()

    def stale_children(self) -> tuple[Delete, ...]:
        """Children of revisions that nobody wants any more."""
        old = any(job.revision != self.video.revision and not job.deleting for job in self.children.jobs)
        return (DeleteChildren(keep_revision=self.video.revision),) if old else ()

    def unfinished_jobs(self) -> tuple[Delete, ...]:
        """Jobs of this revision that may still run; one whose pod has succeeded keeps its log."""
        own = (job for job in self.children.jobs if job.revision == self.video.revision)
        return tuple(DeleteJob(job) for job in own if job.unfinished and not self._pod_succeeded(job))

    def _pod_succeeded(self, job: Job) -> bool:
        return any(pod.phase == "Succeeded" for pod in self.children.pods_of(job))
