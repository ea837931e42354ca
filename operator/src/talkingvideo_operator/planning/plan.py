"""What happens next to a video. This is the place where it is decided, and the only one.

`plan` is pure: the same video, children, configuration and time give the same decision, so it can be run again after a
crash at any point. It reads from top to bottom as the life of a video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from talkingvideo_api.conditions import Phase, Reason
from talkingvideo_api.effective import DEFAULT_MAX_PARALLEL, DEFAULT_TTL_SECONDS, resolve
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile
from talkingvideo_api.reports import StitchReport
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import Failure, TalkingVideoStatus
from talkingvideo_api.support import unsupported, without_effect
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.admission import Admission, Grant, queue_entry
from talkingvideo_operator.planning.attempts import AttemptCounters, AttemptState, reset_failures
from talkingvideo_operator.planning.context import Children, ReconcileContext
from talkingvideo_operator.planning.decision import (
    Create,
    Decision,
    Delete,
    DeleteJob,
    DeleteChildren,
    EnsureStageInput,
    Event,
    CreateJob,
)
from talkingvideo_operator.planning.failures import (
    missing_profile,
    missing_store,
    condition_reason,
    refused,
    failure_message,
    deadline_exceeded,
)
from talkingvideo_operator.planning.observe import ObservedState, observe
from talkingvideo_operator.planning.policy import refusals
from talkingvideo_operator.planning.status import ENDED_PHASES, ended_status, current_status, status_in_phase, output, invalid_spec_status
from talkingvideo_operator.planning.pod_problems import find_problem, awaits_volumes
from talkingvideo_operator.settings import OperatorConfig

QUEUE_REFRESH = timedelta(seconds=30)
"""How often a video that waits for a place looks at the queue, though nobody has called it."""


def plan(
    video: Video, children: Children, config: OperatorConfig, now: datetime, admission: Callable[[], Admission]
) -> Decision:
    """Decide what happens next.

    Args:
        video: The object, with the status that was written last.
        children: All its Jobs, of older revisions too, and their pods.
        config: The operator's configuration.
        now: The present, in whole seconds.
        admission: The queue for GPUs as it stands, which only a video that wants a place has to read.
    """
    if video.spec is None:
        return _refuse_unreadable(video, children, now)
    context = ReconcileContext(video, video.spec, children, config, now, admission)
    status = current_status(video, now)
    if status.phase in ENDED_PHASES:
        if not context.retry_requested(status):
            return _rest(context)
        status = _reopen(status, video, now)
    profile = config.profiles.get(context.profile_name)
    if profile is None:
        return _fail(context, ObservedState(status), missing_profile(context.profile_name, config))
    if status.effective is None:
        accepted = _accept(context, status, profile)
        if isinstance(accepted, Failure):
            return _fail(context, ObservedState(status), accepted)
        status = accepted
    if status.effective is not None and status.effective.store not in profile.stores:
        return _fail(context, ObservedState(status), missing_store(status.effective.store, profile))

    observed = observe(status, children.of_revision(video.revision), profile, config, now)
    if observed.failure is not None:
        return _fail(context, observed, observed.failure)
    if observed.result is not None:
        return _succeed(context, observed, observed.result)
    if (limit := deadline(context.spec, status)) and limit <= now:
        return _fail(context, observed, deadline_exceeded(context.spec))
    if context.spec.suspend:
        return _suspend(context, observed)
    if observed.status.chunks is None:
        return _prepare(context, observed)
    if context.spec.dry_run:
        return _end_dry_run(context, observed)
    if observed.chunks:
        return _render(context, observed, profile)
    return _stitch(context, observed)


def _accept(context: ReconcileContext, status: TalkingVideoStatus, profile: Profile) -> TalkingVideoStatus | Failure:
    """Check what only the operator can check, and pin the values in force for the whole revision."""
    spec, video = context.spec, context.video
    if refusal := next(refusals(spec, profile), None):
        return refused(ErrorCode.INPUT_VALIDATION, refusal.message, refusal.field)
    effective = resolve(spec, profile, profile_name=context.profile_name, uid=video.uid, revision=video.revision or "")
    if deferred := next(iter(unsupported(spec, effective, profile)), None):
        return refused(ErrorCode.NOT_SUPPORTED, deferred.message, deferred.field)
    return status.model_copy(update={"effective": effective, "warnings": tuple(without_effect(spec, effective))})


def _prepare(context: ReconcileContext, observed: ObservedState) -> Decision:
    state = observed.prepare or AttemptState(AttemptCounters())
    starts = (CreateJob(Stage.PREPARE, state.counters.next_attempt),) if state.may_start(context.now) else ()
    return continue_work(context, observed, Phase.PREPARING, "inputs are fetched, checked and split", starts)


def _render(context: ReconcileContext, observed: ObservedState, profile: Profile) -> Decision:
    """Start as many chunks as the video, its namespace and the cluster have room for, in order."""
    ready = [index for index in _in_turn(observed) if observed.chunks[index].may_start(context.now)]
    grant = _granted(context, observed, profile, len(ready))
    starts = tuple(CreateJob(Stage.RENDER, observed.chunks[i].counters.next_attempt, i) for i in ready[: grant.slots])
    requeue_at = context.now + QUEUE_REFRESH if grant.deferred else None
    if grant.position is not None and not observed.running:
        message = f"waits for a place to render: {grant.position} in the queue"
        return continue_work(context, observed, Phase.RENDERING, message, queue_position=grant.position, requeue_at=requeue_at)
    return continue_work(context, observed, Phase.RENDERING, "chunks are rendered", starts, requeue_at=requeue_at)


def _in_turn(observed: ObservedState) -> list[int]:
    """The chunks whose turn it is: of a chained video the first unfinished one, which the next goes on from."""
    chunks = observed.status.chunks
    unfinished = list(observed.chunks)
    return unfinished[:1] if chunks is not None and chunks.chained else unfinished


def _stitch(context: ReconcileContext, observed: ObservedState) -> Decision:
    state = observed.stitch or AttemptState(AttemptCounters())
    starts = (CreateJob(Stage.STITCH, state.counters.next_attempt),) if state.may_start(context.now) else ()
    return continue_work(context, observed, Phase.STITCHING, "chunks are joined", starts)


def _suspend(context: ReconcileContext, observed: ObservedState) -> Decision:
    """Nothing is started, what runs is ended, what is finished stays."""
    status = context.video.status
    is_news = status.phase is not Phase.SUSPENDED or status.revision != context.video.revision
    events = (Event(Reason.SUSPENDED, "unfinished work is ended, finished chunks are kept"),) if is_news else ()
    idle = replace(observed, chunks={index: replace(state, running=None) for index, state in observed.chunks.items()})
    return conclude(
        context,
        idle,
        Phase.SUSPENDED,
        Reason.SUSPENDED,
        "spec.suspend is true",
        deletes=context.unfinished_jobs(),
        events=events,
    )


def _end_dry_run(context: ReconcileContext, observed: ObservedState) -> Decision:
    message = "the plan and an estimate are in status; nothing was rendered"
    events = (Event(Reason.DRY_RUN_FINISHED, message),)
    return conclude(context, observed, Phase.SUCCEEDED, Reason.DRY_RUN_FINISHED, message, events=events)


def _succeed(context: ReconcileContext, observed: ObservedState, result: StitchReport) -> Decision:
    observed = replace(observed, status=observed.status.model_copy(update={"output": output(result)}))
    message = f"{result.frame_count} frames, {result.duration_seconds:.2f} s"
    events = (Event(Reason.SUCCEEDED, message),)
    return conclude(context, observed, Phase.SUCCEEDED, Reason.SUCCEEDED, message, events=events)


def _fail(context: ReconcileContext, observed: ObservedState, failure: Failure) -> Decision:
    """A failed video creates nothing more, and what still runs is ended: nobody would use it."""
    observed = replace(observed, status=observed.status.model_copy(update={"failure": failure}))
    reason, message = condition_reason(failure, observed.status), failure_message(failure)
    events = (Event(reason, message, warning=True),)
    return conclude(context, observed, Phase.FAILED, reason, message, deletes=context.unfinished_jobs(), events=events)


def _rest(context: ReconcileContext) -> Decision:
    """Ended: nothing more is created; after their time the children go."""
    status = ended_status(context.video)
    present = any(not job.deleting for job in context.children.jobs)
    expiry = children_expire(context.spec, status) if present else None
    if expiry is not None and expiry <= context.now:
        return Decision(status, deletes=(DeleteChildren(keep_revision=None),))
    deletes = context.unfinished_jobs() if status.phase is Phase.FAILED else ()
    return Decision(status, deletes=(*context.stale_children(), *deletes), requeue_at=expiry)


def _reopen(status: TalkingVideoStatus, video: Video, now: datetime) -> TalkingVideoStatus:
    """A failed revision whose retry was asked for; one that was refused at the door is looked at anew."""
    status = reset_failures(status)
    refused_at_the_door = status.plan_digest is None and not status.stage_attempts
    return status.model_copy(
        update={
            "observed_retry": video.retry,
            "start_time": now,
            "completion_time": None,
            "phase": None,
            "effective": None if refused_at_the_door else status.effective,
        }
    )


def _refuse_unreadable(video: Video, children: Children, now: datetime) -> Decision:
    """The schema let something through that the models refuse; without a spec there is no revision."""
    invalid = video.invalid
    failure = refused(
        ErrorCode.INPUT_VALIDATION, invalid.message if invalid else "", invalid.field if invalid else None
    )
    message = failure_message(failure)
    is_news = video.status.observed_generation != video.generation
    events = (Event(Reason.INVALID_SPEC, message, warning=True),) if is_news else ()
    present = any(not job.deleting for job in children.jobs)
    deletes = (DeleteChildren(keep_revision=None),) if present else ()
    return Decision(invalid_spec_status(video, failure, message, now), deletes=deletes, events=events)


def _granted(context: ReconcileContext, observed: ObservedState, profile: Profile, ready: int) -> Grant:
    chunking = context.spec.chunking
    limit = (chunking.max_parallel if chunking else None) or DEFAULT_MAX_PARALLEL
    wanted = max(0, min(ready, limit - len(observed.running)))
    if context.spec.queue_name or not wanted:
        return Grant(wanted)
    return context.admission().grant(queue_entry(context.video, profile, wanted, observed.status.start_time))


def continue_work(
    context: ReconcileContext,
    observed: ObservedState,
    phase: Phase,
    message: str,
    starts: tuple[CreateJob, ...] = (),
    *,
    queue_position: int | None = None,
    requeue_at: datetime | None = None,
) -> Decision:
    """Work goes on, or waits and says for what."""
    reason = Reason(phase.value) if queue_position is None else Reason.QUEUED
    obstacle = find_problem(observed.running, context.children, context.config.waiting_seconds, context.now)
    if obstacle is not None:
        reason, message = obstacle
    news = () if context.video.status.phase is phase else (Event(Reason(phase.value), message),)
    return conclude(
        context,
        observed,
        phase,
        reason,
        message,
        creates=_with_stage_input(context, observed, starts),
        events=news,
        queue_position=queue_position,
        requeue_at=requeue_at,
    )


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
    """Complete the status, and add what every step has to do: leftovers go, news is told, the clock is set."""
    status = status_in_phase(
        observed, context.children, phase, reason, message, queue_position=queue_position, now=context.now
    )
    if phase is not Phase.FAILED:
        status = status.model_copy(update={"observed_retry": context.video.retry})
    stale = (DeleteJob(job) for job in observed.stale)
    return Decision(
        status=status,
        creates=creates,
        deletes=(*context.stale_children(), *dict.fromkeys((*stale, *deletes))),
        events=(*context.lifecycle_events(), *observed.events, *events),
        requeue_at=min((m for m in _moments(context, observed, requeue_at) if m > context.now), default=None),
    )


def _with_stage_input(
    context: ReconcileContext, observed: ObservedState, starts: tuple[CreateJob, ...]
) -> tuple[Create, ...]:
    """Whatever starts finds its order, and so does a pod that seems to miss it.

    It may have been deleted: with the other children long after a failure, or by somebody.
    """
    seems_missing = awaits_volumes(observed.running, context.children, context.config.waiting_seconds, context.now)
    return (EnsureStageInput(), *starts) if starts or seems_missing else ()


def _moments(context: ReconcileContext, observed: ObservedState, requeue_at: datetime | None) -> Iterator[datetime]:
    """When something may be due though nothing is heard."""
    yield from observed.requeue_at
    if requeue_at is not None:
        yield requeue_at
    if limit := deadline(context.spec, observed.status):
        yield limit
    patience = timedelta(seconds=context.config.waiting_seconds)
    for job in observed.running:
        if job.created:
            yield job.created + patience
        yield from (pod.created + patience for pod in context.children.pods_of(job) if pod.phase == "Pending")


def deadline(spec: TalkingVideoSpec, status: TalkingVideoStatus) -> datetime | None:
    """When the video fails unless it is finished."""
    if spec.active_deadline_seconds is None or status.start_time is None:
        return None
    return status.start_time + timedelta(seconds=spec.active_deadline_seconds)


def children_expire(spec: TalkingVideoSpec, status: TalkingVideoStatus) -> datetime | None:
    """When the children of a video that has ended are deleted."""
    if status.completion_time is None:
        return None
    given = spec.ttl_seconds_after_finished
    return status.completion_time + timedelta(seconds=DEFAULT_TTL_SECONDS if given is None else given)
