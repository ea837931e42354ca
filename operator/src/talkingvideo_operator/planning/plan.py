"""Decides what happens next to a video; nothing else does.

`plan` is pure: the same video, children, configuration and time give the same decision, so it can be made again after a
crash at any point. The module reads from top to bottom as the life of a video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from talkingvideo_api.conditions import ENDED_PHASES, UNSUCCESSFUL_PHASES, Phase, Reason
from talkingvideo_api.effective import DEFAULT_TTL_SECONDS
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import ANNOTATION_RETRY, Stage
from talkingvideo_api.profile import Profile
from talkingvideo_api.reports import StitchReport
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import Failure, OutputStatus, TalkingVideoStatus
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.acceptance import accept
from talkingvideo_operator.planning.admission import Admission, Grant
from talkingvideo_operator.planning.attempts import AttemptCounters, AttemptState
from talkingvideo_operator.planning.context import Children, ReconcileContext
from talkingvideo_operator.planning.decision import (
    Create,
    CreateJob,
    Decision,
    Delete,
    DeleteChildren,
    DeleteJob,
    EnsureStageInput,
    Event,
)
from talkingvideo_operator.planning.demand import max_parallel, queue_entry
from talkingvideo_operator.planning.failures import (
    chunk_exceeds_limit,
    condition_reason,
    deadline_exceeded,
    failure_message,
    missing_profile,
    permanent_failure,
    profile_not_for,
)
from talkingvideo_operator.planning.namespaces import Namespace
from talkingvideo_operator.planning.observe import ObservedState, observe
from talkingvideo_operator.planning.pod_problems import awaits_volumes, find_problem
from talkingvideo_operator.planning.retry import reopen
from talkingvideo_operator.planning.status import (
    current_status,
    ended_status,
    invalid_spec_status,
    status_in_phase,
)
from talkingvideo_operator.settings import OperatorConfig

QUEUE_REFRESH = timedelta(seconds=30)
"""How often a video that waits for a slot is reconciled although no event has enqueued it."""

CANCELLED = f"cancelled by spec.cancel; to start it again, set that to false and the annotation {ANNOTATION_RETRY} to a new value"
"""The conditions' message. It stays when spec.cancel is set back to false, which alone changes nothing."""


def plan(
    video: Video,
    children: Children,
    config: OperatorConfig,
    now: datetime,
    admission: Callable[[], Admission],
    namespace: Namespace,
) -> Decision:
    """Decide what happens next.

    Args:
        video: The object, with the status that was written last.
        children: All its Jobs, also those of older revisions, and their pods.
        config: The operator's configuration.
        now: The current time, in whole seconds.
        admission: Returns the queues for slots; called only for a video that requests some.
        namespace: What its Namespace says.
    """
    if video.spec is None:
        return _fail_invalid_spec(video, children, now)
    context = ReconcileContext(video, video.spec, children, config, now, admission, namespace)
    status = current_status(video, now)
    if status.phase in ENDED_PHASES:
        if not context.retry_requested(status):
            return _clean_up(context)
        status = reopen(status, video.retry, now)
    profile = config.profiles.get(context.profile_name)
    if profile is None:
        return _fail(context, ObservedState(status), missing_profile(context.profile_name, config))
    if profile.namespace_selector is not None and not profile.namespace_selector.matches(namespace.labels):
        failure = profile_not_for(video, context.profile_name)
        return _fail(context, ObservedState(status), failure, Reason.NOT_ALLOWED)
    accepted = accept(context, status, profile)
    if isinstance(accepted, Failure):
        return _refuse(context, status, accepted)
    status = accepted.status

    observed = observe(status, children.of_revision(video.revision), profile, config, now, accepted.result)
    observed = replace(observed, stale=(*accepted.stale, *observed.stale), events=(*accepted.events, *observed.events))
    if observed.failure is not None:
        return _fail(context, observed, observed.failure)
    if observed.result is not None:
        return _succeed(context, observed, observed.result)
    if context.spec.cancel:
        return _cancel(context, observed)
    if (end := deadline(context.spec, status)) and end <= now:
        return _fail(context, observed, deadline_exceeded(context.spec))
    if context.spec.suspend:
        return _suspend(context, observed)
    if observed.status.chunks is None:
        return _prepare(context, observed, profile)
    if context.spec.dry_run:
        return _end_dry_run(context, observed)
    if observed.chunks:
        return _render(context, observed, profile)
    return _stitch(context, observed, profile)


def end_refused(
    video: Video,
    children: Children,
    config: OperatorConfig,
    now: datetime,
    namespace: Namespace,
    refused: Decision,
    failure: Failure,
) -> Decision:
    """End a video of which the API server will never accept a manifest.

    Args:
        video: The object.
        children: Its Jobs, those included that were created before the refusal.
        config: The operator's configuration.
        now: The time of the decision.
        namespace: What its Namespace says.
        refused: The decision whose manifest was refused.
        failure: Why it was.
    """
    if video.spec is None:
        return refused
    context = ReconcileContext(video, video.spec, children, config, now, Admission, namespace)
    return _fail(context, ObservedState(refused.status), failure)


def _prepare(context: ReconcileContext, observed: ObservedState, profile: Profile) -> Decision:
    if (failure := _never_fits(context, observed, profile)) is not None:
        return _fail(context, observed, failure)
    message = "fetching, checking and splitting the inputs"
    return _start(
        context, observed, profile, Phase.PREPARING, message, _next_job(Stage.PREPARE, observed.prepare, context)
    )


def _render(context: ReconcileContext, observed: ObservedState, profile: Profile) -> Decision:
    """Start as many chunks as the limits of the video, its namespace and the cluster allow, in order."""
    if (failure := _never_fits(context, observed, profile)) is not None:
        return _fail(context, observed, failure)
    ready = (index for index in _startable(observed) if observed.chunks[index].may_start(context.now))
    jobs = (CreateJob(Stage.RENDER, observed.chunks[index].counters.next_attempt, index) for index in ready)
    wanted = max(0, max_parallel(context.spec) - len(observed.running))
    return _start(context, observed, profile, Phase.RENDERING, "rendering chunks", tuple(islice(jobs, wanted)))


def _startable(observed: ObservedState) -> list[int]:
    """The chunks that may be rendered now: of a chained video only the first unfinished one, which the next continues."""
    chunks = observed.status.chunks
    unfinished = list(observed.chunks)
    return unfinished[:1] if chunks is not None and chunks.chained else unfinished


def _stitch(context: ReconcileContext, observed: ObservedState, profile: Profile) -> Decision:
    jobs = _next_job(Stage.STITCH, observed.stitch, context)
    return _start(context, observed, profile, Phase.STITCHING, "joining chunks", jobs)


def _next_job(stage: Stage, state: AttemptState | None, context: ReconcileContext) -> tuple[CreateJob, ...]:
    """The next attempt of prepare or stitch, if it may start now."""
    state = state or AttemptState(AttemptCounters())
    return (CreateJob(stage, state.counters.next_attempt),) if state.may_start(context.now) else ()


def _never_fits(context: ReconcileContext, observed: ObservedState, profile: Profile) -> Failure | None:
    """Why the video's chunks would wait for a slot forever, if they would."""
    effective = observed.status.effective
    if effective is None or context.spec.queue_name or context.spec.dry_run:
        return None
    return chunk_exceeds_limit(effective, profile, context.namespace, context.config.limit(Stage.RENDER))


def _start(
    context: ReconcileContext,
    observed: ObservedState,
    profile: Profile,
    phase: Phase,
    message: str,
    jobs: tuple[CreateJob, ...],
) -> Decision:
    """Start as many of the Jobs as the bounds allow, or say that the video waits for a slot."""
    grant = _grant(context, observed, profile, jobs)
    if grant.position is not None and not observed.running:
        position = _steady(context.video.status.queue_position, grant.position)
        return _continue(
            context,
            observed,
            phase,
            f"waiting for a {jobs[0].stage.value} slot: number {position} in the queue",
            queue_position=position,
            requeue_at=context.now + QUEUE_REFRESH,
        )
    requeue_at = context.now + QUEUE_REFRESH if grant.deferred else None
    return _continue(context, observed, phase, message, jobs[: grant.jobs], requeue_at=requeue_at)


def _steady(known: int | None, position: int) -> int:
    """The last position while the new one differs little: far back in a long queue it says no more, and costs a write."""
    return known if known is not None and abs(known - position) <= position // 10 else position


def _grant(context: ReconcileContext, observed: ObservedState, profile: Profile, jobs: tuple[CreateJob, ...]) -> Grant:
    """How many of the Jobs may start now. Kueue admits the Jobs of its queues itself."""
    if context.spec.queue_name or not jobs:
        return Grant(len(jobs))
    stage = jobs[0].stage
    entry = queue_entry(context.video, stage, observed.status, profile, context.namespace, len(jobs))
    return context.admission().grant(stage, entry)


def _suspend(context: ReconcileContext, observed: ObservedState) -> Decision:
    """Start nothing, end what runs, keep what is finished."""
    status = context.video.status
    is_new = status.phase is not Phase.SUSPENDED or status.revision != context.video.revision
    events = (Event(Reason.SUSPENDED, "unfinished Jobs are deleted; finished chunks are kept"),) if is_new else ()
    idle = replace(observed, chunks={index: replace(state, running=None) for index, state in observed.chunks.items()})
    return conclude(
        context,
        idle,
        Phase.SUSPENDED,
        Reason.SUSPENDED,
        "spec.suspend is true",
        deletes=context.delete_unfinished_jobs(),
        events=events,
    )


def _cancel(context: ReconcileContext, observed: ObservedState) -> Decision:
    """End the video because somebody wants it: start nothing, end what runs, keep what is finished."""
    events = (Event(Reason.CANCELLED, "unfinished Jobs are deleted; finished chunks are kept"),)
    deletes = context.delete_unfinished_work()
    return conclude(context, observed, Phase.CANCELLED, Reason.CANCELLED, CANCELLED, deletes=deletes, events=events)


def _end_dry_run(context: ReconcileContext, observed: ObservedState) -> Decision:
    message = "the plan and an estimate are in status; nothing was rendered"
    events = (Event(Reason.DRY_RUN_FINISHED, message),)
    return conclude(context, observed, Phase.SUCCEEDED, Reason.DRY_RUN_FINISHED, message, events=events)


def _succeed(context: ReconcileContext, observed: ObservedState, result: StitchReport) -> Decision:
    observed = replace(observed, status=observed.status.model_copy(update={"output": OutputStatus.of(result)}))
    message = f"{result.frame_count} frames, {result.duration_seconds:.2f} s"
    events = (Event(Reason.SUCCEEDED, message),)
    return conclude(context, observed, Phase.SUCCEEDED, Reason.SUCCEEDED, message, events=events)


def _fail(
    context: ReconcileContext, observed: ObservedState, failure: Failure, reason: Reason | None = None
) -> Decision:
    """End the video. Nothing more is created, and what still runs is ended: its result would not be used.

    The failure of a video that is cancelled at the same time is moot: nobody wants it corrected.
    """
    if context.spec.cancel:
        return _cancel(context, observed)
    observed = replace(observed, status=observed.status.model_copy(update={"failure": failure}))
    reason, message = reason or condition_reason(failure, observed.status), failure_message(failure)
    events = (Event(reason, message, warning=True),)
    deletes = context.delete_unfinished_jobs()
    return conclude(context, observed, Phase.FAILED, reason, message, deletes=deletes, events=events)


def _refuse(context: ReconcileContext, status: TalkingVideoStatus, refusal: Failure) -> Decision:
    """End a video that the profile does not allow, or no longer; a retry begins with the profile's values of that time."""
    return _fail(context, ObservedState(status.model_copy(update={"effective": None})), refusal)


def _fail_invalid_spec(video: Video, children: Children, now: datetime) -> Decision:
    """The schema has accepted something that the models refuse. Without a spec there is no revision."""
    invalid = video.invalid
    failure = permanent_failure(
        ErrorCode.INPUT_VALIDATION, invalid.message if invalid else "", invalid.field if invalid else None
    )
    message = failure_message(failure)
    is_new = video.status.observed_generation != video.generation
    events = (Event(Reason.INVALID_SPEC, message, warning=True),) if is_new else ()
    present = any(not job.deleting for job in children.jobs)
    deletes = (DeleteChildren(keep_revision=None),) if present else ()
    return Decision(invalid_spec_status(video, failure, message, now), deletes=deletes, events=events)


def _clean_up(context: ReconcileContext) -> Decision:
    """After the end: nothing is created, and the children are deleted when their time is over."""
    status = ended_status(context.video)
    present = any(not job.deleting for job in context.children.jobs)
    expiry = children_expire(context.spec, status) if present else None
    if expiry is not None and expiry <= context.now:
        return Decision(status, deletes=(DeleteChildren(keep_revision=None),))
    unfinished = context.delete_unfinished_jobs() if status.phase in UNSUCCESSFUL_PHASES else ()
    return Decision(status, deletes=(*context.delete_old_revisions(), *unfinished), requeue_at=expiry)


def _continue(
    context: ReconcileContext,
    observed: ObservedState,
    phase: Phase,
    message: str,
    jobs: tuple[CreateJob, ...] = (),
    *,
    queue_position: int | None = None,
    requeue_at: datetime | None = None,
) -> Decision:
    """Continue in a phase, or say in the conditions what the work waits for."""
    reason = Reason(phase.value) if queue_position is None else Reason.QUEUED
    problem = find_problem(observed.running, context.children.pods_of, context.config.waiting_seconds, context.now)
    if problem is not None:
        reason, message = problem
    events = () if context.video.status.phase is phase else (Event(Reason(phase.value), message),)
    return conclude(
        context,
        observed,
        phase,
        reason,
        message,
        creates=_with_stage_input(context, observed, jobs),
        events=events,
        queue_position=queue_position,
        requeue_at=requeue_at,
    )


def _with_stage_input(
    context: ReconcileContext, observed: ObservedState, jobs: tuple[CreateJob, ...]
) -> tuple[Create, ...]:
    """Ensure the stage input before every Job, and for a pod that seems to lack it.

    It may have been deleted: with the other children long after a failure, or by hand.
    """
    seems_missing = awaits_volumes(
        observed.running, context.children.pods_of, context.config.waiting_seconds, context.now
    )
    return (EnsureStageInput(), *jobs) if jobs or seems_missing else ()


def conclude(
    context: ReconcileContext,
    observed: ObservedState,
    phase: Phase,
    reason: Reason,
    message: str,
    *,
    creates: tuple[Create, ...] = (),
    deletes: tuple[Delete, ...] = (),
    events: tuple[Event, ...] = (),
    queue_position: int | None = None,
    requeue_at: datetime | None = None,
) -> Decision:
    """Complete the status, and add what every step does: delete stale children, report events, set the next time."""
    status = status_in_phase(
        observed, context.children, phase, reason, message, queue_position=queue_position, now=context.now
    )
    if phase is not Phase.FAILED:
        status = status.model_copy(update={"observed_retry": context.video.retry})
    stale = (DeleteJob(job) for job in observed.stale)
    due = (moment for moment in _due_times(context, observed, requeue_at) if moment > context.now)
    return Decision(
        status=status,
        creates=creates,
        deletes=(*context.delete_old_revisions(), *dict.fromkeys((*stale, *deletes))),
        events=(*context.lifecycle_events(), *observed.events, *events),
        requeue_at=min(due, default=None),
    )


def _due_times(context: ReconcileContext, observed: ObservedState, requeue_at: datetime | None) -> Iterator[datetime]:
    """Times at which the decision may change without any object changing."""
    yield from observed.requeue_at
    if requeue_at is not None:
        yield requeue_at
    if end := deadline(context.spec, observed.status):
        yield end
    grace = timedelta(seconds=context.config.waiting_seconds)
    for job in observed.running:
        if job.created:
            yield job.created + grace
        yield from (pod.created + grace for pod in context.children.pods_of(job) if pod.phase == "Pending")


def deadline(spec: TalkingVideoSpec, status: TalkingVideoStatus) -> datetime | None:
    """When the video fails unless it has ended."""
    if spec.active_deadline_seconds is None or status.start_time is None:
        return None
    return status.start_time + timedelta(seconds=spec.active_deadline_seconds)


def children_expire(spec: TalkingVideoSpec, status: TalkingVideoStatus) -> datetime | None:
    """When the children of a video that has ended are deleted."""
    if status.completion_time is None:
        return None
    given = spec.ttl_seconds_after_finished
    return status.completion_time + timedelta(seconds=DEFAULT_TTL_SECONDS if given is None else given)
