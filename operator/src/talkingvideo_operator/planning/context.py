"""What a decision is made from: the video, its children, the configuration and the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from talkingvideo_api.conditions import UNSUCCESSFUL_PHASES, Phase, Reason
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import Progress
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_clients.kube.objects import Job, Pod, Video
from talkingvideo_operator.planning.admission import Admission
from talkingvideo_operator.planning.decision import Delete, DeleteChildren, DeleteJob, Event
from talkingvideo_operator.planning.namespaces import Namespace
from talkingvideo_operator.settings import OperatorConfig

DEFAULT_PROFILE = "default"


@dataclass(frozen=True)
class Children:
    """A video's Jobs, their pods, and the progress that the pods last logged."""

    jobs: tuple[Job, ...] = ()
    pods: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)
    """By uid of their Job."""
    progress: Mapping[str, Progress] = field(default_factory=dict)
    """By uid of the Job."""

    def of_revision(self, revision: str | None) -> Children:
        """The children of one revision."""
        return Children(tuple(job for job in self.jobs if job.revision == revision), self.pods, self.progress)

    def of_stage(self, stage: Stage) -> dict[int | None, list[Job]]:
        """A stage's Jobs by chunk; the key is None for a stage without chunks."""
        found: dict[int | None, list[Job]] = {}
        for job in self.jobs:
            if job.stage is stage:
                found.setdefault(job.chunk, []).append(job)
        return found

    def pods_of(self, job: Job) -> tuple[Pod, ...]:
        """The pods of one Job, replaced ones included."""
        return self.pods.get(job.uid, ()) if job.uid else ()


@dataclass(frozen=True)
class ReconcileContext:
    """A video and everything around it at one moment, with the questions that several steps of `plan` ask."""

    video: Video
    spec: TalkingVideoSpec
    children: Children
    config: OperatorConfig
    now: datetime
    admission: Callable[[], Admission]
    namespace: Namespace

    @property
    def profile_name(self) -> str:
        """The profile that the object names, or the default one."""
        return self.spec.profile or DEFAULT_PROFILE

    def retry_requested(self, status: TalkingVideoStatus | None = None) -> bool:
        """Whether the retry annotation requests another try of a revision that has failed or was cancelled."""
        status = status or self.video.status
        requested = self.video.retry is not None and self.video.retry != status.observed_retry
        return requested and status.phase in UNSUCCESSFUL_PHASES and not self.spec.cancel

    def lifecycle_events(self) -> tuple[Event, ...]:
        """The event of a revision that is seen for the first time, resumed or retried."""
        known = self.video.status
        if known.revision is None:
            return (Event(Reason.ACCEPTED, f"revision {self.video.revision}"),)
        if known.revision != self.video.revision:
            return (Event(Reason.REVISED, f"revision {self.video.revision} replaces {known.revision}"),)
        if known.phase is Phase.SUSPENDED and not (self.spec.suspend or self.spec.cancel):
            return (Event(Reason.RESUMED, "work resumes"),)
        if self.retry_requested():
            return (Event(Reason.RETRY_REQUESTED, "failures are reset; finished chunks are kept"),)
        return ()

    def delete_old_revisions(self) -> tuple[Delete, ...]:
        """Deletes the children of other revisions, if there are any."""
        old = any(job.revision != self.video.revision and not job.deleting for job in self.children.jobs)
        return (DeleteChildren(keep_revision=self.video.revision),) if old else ()

    def delete_unfinished_jobs(self) -> tuple[Delete, ...]:
        """Deletes this revision's Jobs that may still run; one whose pod has succeeded stays, and with it the log."""
        own = self.children.of_revision(self.video.revision).jobs
        return tuple(DeleteJob(job) for job in own if job.unfinished and not self._pod_succeeded(job))

    def delete_unfinished_work(self) -> tuple[Delete, ...]:
        """Deletes this revision's Jobs that may still run; all children where no Job would be left for a later clean-up."""
        unfinished = self.delete_unfinished_jobs()
        own = [job for job in self.children.of_revision(self.video.revision).jobs if not job.deleting]
        return unfinished if len(unfinished) < len(own) else (DeleteChildren(keep_revision=None),)

    def _pod_succeeded(self, job: Job) -> bool:
        return any(pod.phase == "Succeeded" for pod in self.children.pods_of(job))
