"""A video's children, as one decision sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import Progress
from talkingvideo_operator.reconcile.objects import Job, Pod


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
