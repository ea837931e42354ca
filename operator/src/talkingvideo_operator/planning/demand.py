"""What a video takes of the bounds on its stages, and what it requests, as far as its status and Jobs tell.

When a video is reconciled itself, `plan` knows better what it requests: its entry then replaces the one from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from talkingvideo_api.conditions import Phase
from talkingvideo_api.effective import DEFAULT_MAX_PARALLEL, Effective
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import Attempts, TalkingVideoStatus
from talkingvideo_clients.kube.objects import Job, Video
from talkingvideo_operator.planning.admission import QueueEntry
from talkingvideo_operator.planning.namespaces import Namespace
from talkingvideo_operator.settings import OperatorConfig

STAGES = {Phase.PREPARING: Stage.PREPARE, Phase.RENDERING: Stage.RENDER, Phase.STITCHING: Stage.STITCH}
"""The stage whose Jobs a video requests in each phase."""


@dataclass(frozen=True)
class Demand:
    """What one video takes and requests.

    Attributes:
        namespace: Its namespace.
        active: Cost of its unfinished Jobs by stage.
        stage: The stage that it requests Jobs of.
        entry: The request; None if it requests nothing.
    """

    namespace: str
    active: Mapping[Stage, int] = field(default_factory=dict)
    stage: Stage | None = None
    entry: QueueEntry | None = None


def max_parallel(spec: TalkingVideoSpec) -> int:
    """How many chunks of one video are rendered at once."""
    return (spec.chunking.max_parallel if spec.chunking else None) or DEFAULT_MAX_PARALLEL


def job_cost(stage: Stage, effective: Effective | None, profile: Profile | None) -> int:
    """What one Job takes of its stage's bound: a chunk as many as it has GPUs, everything else 1."""
    renders_on_gpus = (
        stage is Stage.RENDER and effective is not None and profile is not None and profile.gpu is not None
    )
    return effective.gpus_per_chunk if renders_on_gpus and effective is not None else 1


def namespace_limit(stage: Stage, profile: Profile, namespace: Namespace) -> int | None:
    """The bound of a namespace: its own, or for rendering the profile's."""
    default = profile.max_parallel_per_namespace if stage is Stage.RENDER else None
    return namespace.limits.get(stage, default)


def queue_entry(
    video: Video, stage: Stage, status: TalkingVideoStatus, profile: Profile, namespace: Namespace, wanted: int
) -> QueueEntry:
    """A video's entry: ranked by its priority class in the profile's list, then by the time its work began."""
    classes = profile.allow.priority_classes
    priority = video.spec.priority if video.spec else None
    return QueueEntry(
        uid=video.uid,
        namespace=video.namespace,
        rank=classes.index(priority) if priority in classes else len(classes),
        since=status.start_time or video.created,
        wanted=wanted,
        cost=job_cost(stage, status.effective, profile),
        weight=namespace.weight,
        namespace_limit=namespace_limit(stage, profile, namespace),
    )


def demand_of(video: Video, jobs: Iterable[Job], config: OperatorConfig, namespace: Namespace, now: datetime) -> Demand:
    """What a video takes and requests.

    Args:
        video: The video, with its last status.
        jobs: Its Jobs.
        config: The profiles.
        namespace: Its namespace.
        now: The time; what backs off requests nothing yet.
    """
    effective = video.status.effective
    profile = config.profiles.get(effective.profile) if effective else None
    running = Counter(job.stage for job in jobs if job.unfinished and not job.queued)
    active = {stage: count * job_cost(stage, effective, profile) for stage, count in running.items()}
    stage = STAGES.get(video.status.phase) if video.status.phase else None
    if stage is None or profile is None or not _competes(video):
        return Demand(video.namespace, active)
    wanted = _wanted(video, stage, running[stage], now)
    entry = queue_entry(video, stage, video.status, profile, namespace, wanted) if wanted else None
    return Demand(video.namespace, active, stage, entry)


def _competes(video: Video) -> bool:
    """Whether the bounds are for it: Kueue has its own, and a status of another revision says nothing."""
    spec, current = video.spec, video.status.revision == video.revision
    return spec is not None and current and not (video.deleting or spec.suspend or spec.cancel or spec.queue_name)


def _wanted(video: Video, stage: Stage, running: int, now: datetime) -> int:
    """Jobs that it would start now."""
    status, chunks = video.status, video.status.chunks
    if stage is not Stage.RENDER:
        waits = any(entry.stage is stage and _backs_off(entry, now) for entry in status.stage_attempts)
        return 0 if running or waits else 1
    if chunks is None or video.spec is None:
        return 0
    ready = chunks.total - chunks.done - sum(1 for entry in chunks.failed if _backs_off(entry, now))
    parallel = 1 if chunks.chained else max_parallel(video.spec)
    return max(0, min(ready, parallel) - running)


def _backs_off(attempts: Attempts, now: datetime) -> bool:
    return attempts.not_before is not None and attempts.not_before > now
