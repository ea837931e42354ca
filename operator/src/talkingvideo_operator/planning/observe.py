"""Accounting: what has ended since status was written, put into status.

Nothing is decided here about what to do next; that is `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from talkingvideo_api.conditions import Reason
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile
from talkingvideo_api.reports import (
    FailureReport,
    PrepareReport,
    RenderReport,
    StitchReport,
    decode_bitmap,
    encode_bitmap,
)
from talkingvideo_api.status import ChunkAttempts, Chunks, Dimensions, Failure, TalkingVideoStatus, Usage
from talkingvideo_clients.kube.objects import Job
from talkingvideo_operator.planning.attempts import (
    AttemptCounters,
    AttemptState,
    counters_of,
    entry_of,
    follow_attempts,
    is_of_workspace,
    stage_counters,
    stage_entry,
    unprepared,
)
from talkingvideo_operator.planning.context import Children
from talkingvideo_operator.planning.decision import Event
from talkingvideo_operator.planning.failures import failure_message
from talkingvideo_operator.planning.truncate import with_modes, with_warnings
from talkingvideo_operator.settings import BackOff, OperatorConfig


@dataclass(frozen=True)
class ObservedState:
    """The books, closed.

    Attributes:
        status: With everything in it that has ended.
        prepare: How the preparation stands.
        chunks: How each unfinished chunk stands.
        stitch: How the join stands.
        result: Its report.
        failure: Why no more is to be tried.
        stale: Unfinished Jobs that nobody waits for.
        events: What is news.
    """

    status: TalkingVideoStatus
    prepare: AttemptState | None = None
    chunks: dict[int, AttemptState] = field(default_factory=dict)
    stitch: AttemptState | None = None
    result: StitchReport | None = None
    failure: Failure | None = None
    stale: tuple[Job, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def states(self) -> Iterable[AttemptState]:
        """Everything that is not finished."""
        return [*filter(None, (self.prepare, self.stitch)), *self.chunks.values()]

    @property
    def running(self) -> list[Job]:
        """Jobs whose end is awaited."""
        return [state.running for state in self.states if state.running]

    @property
    def requeue_at(self) -> list[datetime]:
        """When the books may change though nothing is heard."""
        moments = [t.requeue_at for t in self.states] + [t.counters.not_before for t in self.states if not t.running]
        return [moment for moment in moments if moment]


def observe(
    status: TalkingVideoStatus, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> ObservedState:
    """Close the books; where they end with work that the store has lost, those of prepare are opened again.

    Args:
        status: As it was written last, for the revision at hand.
        children: Of that revision.
        profile: Attempts and GPUs.
        config: Back-off and grace times.
        now: The present.
    """
    observed = _account_stages(status, children, profile, config, now)
    if observed.failure is None:
        return observed
    again = prepared_again(observed.status, observed.failure, profile.prepare.attempts, config.back_off, now)
    if again is None:
        return observed
    fresh = observe(again, children, profile, config, now)
    useless = (job for job in observed.running if job not in fresh.running)
    news = Event(Reason.RETRYING, f"the video is prepared again: {failure_message(observed.failure)}", warning=True)
    return replace(
        fresh, stale=(*observed.stale, *useless, *fresh.stale), events=(*observed.events, news, *fresh.events)
    )


def _account_stages(
    status: TalkingVideoStatus, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> ObservedState:
    """Close the books stage by stage, as far as the video has come."""
    observed = _account_prepare(ObservedState(status), children, profile, config, now)
    if observed.status.chunks is None:
        return observed
    observed = _account_chunks(observed, observed.status.chunks, children, profile, config, now)
    if observed.chunks:
        return observed
    observed = replace(observed, status=_reached(observed.status, now))
    return _account_stitch(observed, children, profile, config, now)


def _account_prepare(
    observed: ObservedState, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> ObservedState:
    if observed.status.plan_digest is not None:
        return observed
    jobs = children.of_stage(Stage.PREPARE).get(None, [])
    counters = stage_counters(observed.status, Stage.PREPARE)
    state = follow_attempts(counters, jobs, dict(children.pods), profile.prepare.attempts, config, now)
    observed = _note(replace(observed, prepare=state), state, counters, Stage.PREPARE)
    if state.done and isinstance(state.report, PrepareReport):
        return _take_plan(observed, state.report, children, now)
    return observed


def _take_plan(observed: ObservedState, report: PrepareReport, children: Children, now: datetime) -> ObservedState:
    status = with_plan(observed.status, report, children, now)
    total, finished = len(report.chunk_frames), status.chunks.reused if status.chunks else 0
    events = [Event(Reason.PREPARED, f"{sum(report.chunk_frames)} frames in {total} chunks")]
    if finished:
        events.append(Event(Reason.CHUNKS_REUSED, f"{finished} of {total} chunks were rendered before"))
    return replace(observed, status=status, prepare=None, events=(*observed.events, *events))


def _account_chunks(
    observed: ObservedState, chunks: Chunks, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> ObservedState:
    finished = set(decode_bitmap(chunks.finished, chunks.total))
    jobs = children.of_stage(Stage.RENDER)
    counters_by_chunk = {entry.index: counters_of(entry) for entry in chunks.failed}
    pods = dict(children.pods)
    just_finished = 0
    reports: list[RenderReport] = []
    used = 0.0
    for index in range(chunks.total):
        if index in finished:
            continue
        counters = counters_by_chunk.get(index, AttemptCounters())
        state = follow_attempts(counters, jobs.get(index, []), pods, profile.render.attempts, config, now)
        used += state.used_seconds
        observed = _note(observed, state, counters, Stage.RENDER, index)
        if state.done:
            finished.add(index)
            just_finished += 1
            reports += [state.report] if isinstance(state.report, RenderReport) else []
        else:
            observed.chunks[index] = state
    if just_finished:
        event = Event(Reason.CHUNK_RENDERED, f"{len(finished)} of {chunks.total} chunks are rendered")
        observed = replace(observed, events=(*observed.events, event))
    updated = chunks.model_copy(
        update={
            "done": len(finished),
            "summary": f"{len(finished)}/{chunks.total}",
            "finished": encode_bitmap(finished, chunks.total),
            "failed": tuple(
                entry_of(index, t.counters) for index, t in observed.chunks.items() if t.counters != AttemptCounters()
            ),
            "memory_modes": with_modes(chunks.memory_modes, (it.memory_mode for it in reports if it.memory_mode)),
        }
    )
    status = observed.status.model_copy(
        update={
            "chunks": updated,
            "usage": _usage(observed.status, profile, used),
            "warnings": with_warnings(observed.status.warnings, (said for it in reports for said in it.warnings)),
        }
    )
    return replace(observed, status=status)


def _account_stitch(
    observed: ObservedState, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> ObservedState:
    jobs = children.of_stage(Stage.STITCH).get(None, [])
    counters = stage_counters(observed.status, Stage.STITCH)
    state = follow_attempts(counters, jobs, dict(children.pods), profile.stitch.attempts, config, now)
    observed = _note(replace(observed, stitch=state), state, counters, Stage.STITCH)
    if state.done and isinstance(state.report, StitchReport):
        return replace(observed, stitch=None, result=state.report)
    return observed


def _note(
    observed: ObservedState, state: AttemptState, before: AttemptCounters, stage: Stage, chunk: int | None = None
) -> ObservedState:
    """Take over a trial's record, its stray Jobs and its failure."""
    observed = replace(observed, stale=(*observed.stale, *state.stale))
    if state.counters == before:
        return observed
    if stage is not Stage.RENDER:
        others = tuple(entry for entry in observed.status.stage_attempts if entry.stage is not stage)
        entries = (*others, stage_entry(stage, state.counters))
        observed = replace(observed, status=observed.status.model_copy(update={"stage_attempts": entries}))
    if state.done or state.failure is None:
        return observed
    if state.final:
        return replace(observed, failure=observed.failure or _failure(state.failure, stage, chunk))
    what = stage.value if chunk is None else f"chunk {chunk}"
    message = f"{what}, attempt {state.counters.next_attempt}: {state.failure.code.value}: {state.failure.message}"
    return replace(observed, events=(*observed.events, Event(Reason.RETRYING, message, warning=True)))


def _failure(report: FailureReport, stage: Stage, chunk: int | None) -> Failure:
    return Failure(
        code=report.code,
        message=report.message,
        field=report.field,
        retryable=report.retryable,
        stage=stage,
        chunk=chunk,
    )


def _reached(status: TalkingVideoStatus, now: datetime) -> TalkingVideoStatus:
    return status if status.rendered_time else status.model_copy(update={"rendered_time": now})


def _usage(status: TalkingVideoStatus, profile: Profile, seconds: float) -> Usage | None:
    if profile.gpu is None or status.effective is None:
        return status.usage
    known = status.usage.gpu_seconds if status.usage else 0.0
    return Usage(gpu_seconds=round(known + seconds * status.effective.gpus_per_chunk, 1))


def with_plan(
    status: TalkingVideoStatus, report: PrepareReport, children: Children, now: datetime
) -> TalkingVideoStatus:
    """Begin the observe of the chunks.

    Chunks of this very plan may have been started already: the operator was killed before it wrote the plan into status.
    Older Jobs, which rendered a chunk before it was lost, prove nothing.

    Args:
        status: Of the video.
        report: What prepare said.
        children: Of the revision.
        now: The present.
    """
    total = len(report.chunk_frames)
    missing = set(decode_bitmap(report.missing, total))
    finished = [index for index in range(total) if index not in missing]
    chunks = Chunks(
        total=total,
        done=len(finished),
        reused=len(finished),
        summary=f"{len(finished)}/{total}",
        frames=report.chunk_frames,
        finished=encode_bitmap(finished, total),
        failed=_rendered_in_vain(missing, children),
        chained=report.chained or None,
        memory_modes=with_modes(None, report.memory_modes or ()),
    )
    return status.model_copy(
        update={
            "plan_digest": report.plan_digest,
            "rendered": Dimensions(width=report.width, height=report.height),
            "delivered": Dimensions(width=report.delivered_width, height=report.delivered_height),
            "estimate": report.estimate,
            "chunks": chunks,
            "prepared_time": now,
            "warnings": with_warnings(status.warnings, report.warnings),
        }
    )


def _rendered_in_vain(missing: set[int], children: Children) -> tuple[ChunkAttempts, ...]:
    """Entries of missing chunks that have Jobs older than the last preparation: the next attempt is a new one."""
    prepared = max(job.created for job in children.of_stage(Stage.PREPARE)[None] if job.created)
    jobs = children.of_stage(Stage.RENDER)
    attempts: dict[int, int] = {}
    for index in sorted(missing):
        old = [job.attempt for job in jobs.get(index, ()) if job.created and job.created < prepared]
        if old:
            attempts[index] = max(old)
    return tuple(entry_of(index, AttemptCounters(next_attempt=attempt + 1)) for index, attempt in attempts.items())


def prepared_again(
    status: TalkingVideoStatus, failure: Failure, attempts: int, back_off: BackOff, now: datetime
) -> TalkingVideoStatus | None:
    """The status with which to prepare again after a failure.

    Args:
        status: Of the video.
        failure: For which nothing more would be tried.
        attempts: How many failures of prepare the profile allows. A loss counts as one, so that a store that loses
            whatever it is given does not keep a video busy for ever.
        back_off: How long to wait.
        now: The present.

    Returns:
        None when that would not help, or was done too often.
    """
    lost = is_of_workspace(failure) and not failure.retryable
    counters = stage_counters(status, Stage.PREPARE).failed(back_off, now)
    if not lost or counters.failures >= attempts:
        return None
    return unprepared(status, counters)
