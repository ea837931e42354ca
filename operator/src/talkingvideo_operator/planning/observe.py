"""Observes what has ended since status was written, and counts it.

What to do next is not decided here; that is `plan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from talkingvideo_api.conditions import Reason
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile, StagePods
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
    chunk_entry,
    counters_of,
    follow_attempts,
    following,
    stage_counters,
    stage_entry,
)
from talkingvideo_operator.planning.context import Children
from talkingvideo_operator.planning.decision import Event
from talkingvideo_operator.planning.failures import failure_message
from talkingvideo_operator.planning.report_checks import KnownWork
from talkingvideo_operator.planning.retry import prepare_again
from talkingvideo_operator.planning.truncate import with_modes, with_warnings
from talkingvideo_operator.settings import OperatorConfig


@dataclass(frozen=True)
class ObservedState:
    """The state of a video's work.

    Attributes:
        status: The status, with everything counted that has ended.
        prepare: State of the preparation, until its plan is in status.
        chunks: State of each unfinished chunk.
        stitch: State of the join.
        result: The report of the join, once it has ended.
        failure: Why nothing more is tried.
        stale: Unfinished Jobs whose outcome no longer matters.
        events: What has happened since status was written.
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
    def unfinished(self) -> Iterable[AttemptState]:
        """The state of each piece of work that is not finished."""
        return [*filter(None, (self.prepare, self.stitch)), *self.chunks.values()]

    @property
    def running(self) -> list[Job]:
        """Jobs whose end is awaited."""
        return [state.running for state in self.unfinished if state.running]

    @property
    def requeue_at(self) -> list[datetime]:
        """Times at which this state may change without any object changing."""
        grace_times = [state.requeue_at for state in self.unfinished]
        back_offs = [state.counters.not_before for state in self.unfinished if not state.running]
        return [moment for moment in (*grace_times, *back_offs) if moment]


@dataclass(frozen=True)
class _ObservationInputs:
    """What status is compared with: the revision's children, the settings, and the time."""

    children: Children
    profile: Profile
    config: OperatorConfig
    now: datetime
    result: str

    def follow(
        self, status: TalkingVideoStatus, counters: AttemptCounters, jobs: list[Job], pods: StagePods
    ) -> AttemptState:
        """The state of one piece of work, from its Jobs and their pods, whose reports are compared with status."""
        check = KnownWork(status, self.result).problem
        return follow_attempts(counters, jobs, self.children.pods, pods.attempts, self.config, self.now, check)


def observe(
    status: TalkingVideoStatus,
    children: Children,
    profile: Profile,
    config: OperatorConfig,
    now: datetime,
    result: str,
) -> ObservedState:
    """Count what has ended; where work fails because the store has lost files, continue with prepare's next attempt.

    Args:
        status: As it was last written, of the current revision.
        children: Of that revision.
        profile: Attempts and GPUs.
        config: Back-off and grace times.
        now: The time of the decision.
        result: URI of the video's result, without suffix.
    """
    observed = _observe_stages(status, _ObservationInputs(children, profile, config, now, result))
    if observed.failure is None:
        return observed
    again = prepare_again(observed.status, observed.failure, profile.prepare.attempts, config.back_off, now)
    if again is None:
        return observed
    fresh = observe(again, children, profile, config, now, result)
    useless = (job for job in observed.running if job not in fresh.running)
    message = f"the video is prepared again: {failure_message(observed.failure)}"
    return replace(
        fresh,
        stale=(*observed.stale, *useless, *fresh.stale),
        events=(*observed.events, Event(Reason.RETRYING, message, warning=True), *fresh.events),
    )


def _observe_stages(status: TalkingVideoStatus, inputs: _ObservationInputs) -> ObservedState:
    """Observe stage by stage, as far as the video has come."""
    observed = _observe_prepare(ObservedState(status), inputs)
    if observed.status.chunks is None:
        return observed
    observed = _observe_chunks(observed, observed.status.chunks, inputs)
    if observed.chunks:
        return observed
    if observed.status.rendered_time is None:
        observed = replace(observed, status=observed.status.model_copy(update={"rendered_time": inputs.now}))
    return _observe_stitch(observed, inputs)


def _observe_prepare(observed: ObservedState, inputs: _ObservationInputs) -> ObservedState:
    if observed.status.plan_digest is not None:
        return observed
    counters = stage_counters(observed.status, Stage.PREPARE)
    jobs = inputs.children.of_stage(Stage.PREPARE).get(None, [])
    state = inputs.follow(observed.status, counters, jobs, inputs.profile.prepare)
    observed = _count(replace(observed, prepare=state), state, counters, Stage.PREPARE)
    if state.done and isinstance(state.report, PrepareReport):
        return _adopt_plan(observed, state.report, inputs)
    return observed


def _adopt_plan(observed: ObservedState, report: PrepareReport, inputs: _ObservationInputs) -> ObservedState:
    status = _with_plan(observed.status, report, inputs.children, inputs.now)
    total, reused = len(report.chunk_frames), status.chunks.reused if status.chunks else 0
    events = [Event(Reason.PREPARED, f"{sum(report.chunk_frames)} frames in {total} chunks")]
    if reused:
        events.append(Event(Reason.CHUNKS_REUSED, f"{reused} of {total} chunks are already rendered"))
    return replace(observed, status=status, prepare=None, events=(*observed.events, *events))


def _with_plan(
    status: TalkingVideoStatus, report: PrepareReport, children: Children, now: datetime
) -> TalkingVideoStatus:
    """Status with the plan and the chunks that prepare reports.

    Jobs of this very plan may exist already: the operator was killed before it wrote the plan into status. Older Jobs,
    which rendered a chunk before the store lost it, prove nothing.
    """
    missing = set(decode_bitmap(report.missing, len(report.chunk_frames)))
    chunks = Chunks.of(report, _entries_of_lost_chunks(missing, children), with_modes(None, report.memory_modes or ()))
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


def _entries_of_lost_chunks(missing: set[int], children: Children) -> tuple[ChunkAttempts, ...]:
    """Entries of missing chunks with Jobs older than the last preparation: their next attempt gets a new number."""
    times = (job.created for job in children.of_stage(Stage.PREPARE).get(None, ()) if job.created)
    prepared = max(times, default=None)
    jobs = children.of_stage(Stage.RENDER)
    attempts: dict[int, int] = {}
    for index in sorted(missing):
        old = [job.attempt for job in jobs.get(index, ()) if prepared and job.created and job.created < prepared]
        if old:
            attempts[index] = max(old)
    return tuple(
        chunk_entry(index, AttemptCounters(next_attempt=following(attempt))) for index, attempt in attempts.items()
    )


def _observe_chunks(observed: ObservedState, chunks: Chunks, inputs: _ObservationInputs) -> ObservedState:
    known = set(decode_bitmap(chunks.finished, chunks.total))
    finished = set(known)
    jobs = inputs.children.of_stage(Stage.RENDER)
    counters_by_chunk = {entry.index: counters_of(entry) for entry in chunks.failed}
    started = _last_started(set(range(chunks.total)) - known, counters_by_chunk, jobs)
    reports: list[RenderReport] = []
    used = 0.0
    for index in range(chunks.total):
        if index in known:
            continue
        counters = counters_by_chunk.get(index, AttemptCounters())
        state = inputs.follow(observed.status, counters, jobs.get(index, []), inputs.profile.render)
        if chunks.chained and index < started and state.running is None:
            state = replace(state, done=True)
        used += state.used_seconds
        observed = _count(observed, state, counters, Stage.RENDER, index)
        if state.done:
            finished.add(index)
            reports += [state.report] if isinstance(state.report, RenderReport) else []
        else:
            observed.chunks[index] = state
    if finished != known:
        event = Event(Reason.CHUNK_RENDERED, f"{len(finished)} of {chunks.total} chunks are rendered")
        observed = replace(observed, events=(*observed.events, event))
    status = observed.status.model_copy(
        update={
            "chunks": _updated(chunks, finished, observed.chunks, reports),
            "usage": _usage(observed.status, inputs.profile, used),
            "warnings": with_warnings(observed.status.warnings, (text for it in reports for text in it.warnings)),
        }
    )
    return replace(observed, status=status)


def _last_started(unfinished: set[int], counters: dict[int, AttemptCounters], jobs: dict[int | None, list[Job]]) -> int:
    """The last unfinished chunk of which an attempt that status has not counted was started.

    A chained chunk starts only when all before it are finished. So its Job proves that they are, even where theirs are
    deleted before status says so: the operator was killed between creating the Job and writing status.
    """
    return max(
        (
            index
            for index in unfinished
            for job in jobs.get(index, ())
            if job.attempt >= counters.get(index, AttemptCounters()).next_attempt
        ),
        default=0,
    )


def _updated(
    chunks: Chunks, finished: set[int], unfinished: dict[int, AttemptState], reports: list[RenderReport]
) -> Chunks:
    failed = ((index, state.counters) for index, state in unfinished.items() if state.counters != AttemptCounters())
    modes = (report.memory_mode for report in reports if report.memory_mode)
    return chunks.model_copy(
        update={
            "done": len(finished),
            "summary": f"{len(finished)}/{chunks.total}",
            "finished": encode_bitmap(finished, chunks.total),
            "failed": tuple(chunk_entry(index, counters) for index, counters in failed),
            "memory_modes": with_modes(chunks.memory_modes, modes),
        }
    )


def _usage(status: TalkingVideoStatus, profile: Profile, seconds: float) -> Usage | None:
    if profile.gpu is None or status.effective is None:
        return status.usage
    known = status.usage.gpu_seconds if status.usage else 0.0
    return Usage(gpu_seconds=round(known + seconds * status.effective.gpus_per_chunk, 1))


def _observe_stitch(observed: ObservedState, inputs: _ObservationInputs) -> ObservedState:
    counters = stage_counters(observed.status, Stage.STITCH)
    jobs = inputs.children.of_stage(Stage.STITCH).get(None, [])
    state = inputs.follow(observed.status, counters, jobs, inputs.profile.stitch)
    observed = _count(replace(observed, stitch=state), state, counters, Stage.STITCH)
    if state.done and isinstance(state.report, StitchReport):
        return replace(observed, stitch=None, result=state.report)
    return observed


def _count(
    observed: ObservedState, state: AttemptState, before: AttemptCounters, stage: Stage, chunk: int | None = None
) -> ObservedState:
    """Add one piece of work: its stale Jobs, its counters, and its failure or the event of a retry."""
    observed = replace(observed, stale=(*observed.stale, *state.stale))
    if state.counters == before:
        return observed
    if stage is not Stage.RENDER:
        others = tuple(entry for entry in observed.status.stage_attempts if entry.stage is not stage)
        entries = (*others, stage_entry(stage, state.counters))
        observed = replace(observed, status=observed.status.model_copy(update={"stage_attempts": entries}))
    if state.done or state.failure is None:
        return observed
    if state.exhausted:
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
