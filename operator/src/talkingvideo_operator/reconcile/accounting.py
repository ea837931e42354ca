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
from talkingvideo_api.status import Chunks, Failure, TalkingVideoStatus, Usage
from talkingvideo_operator.reconcile.brevity import with_modes, with_warnings
from talkingvideo_operator.reconcile.children import Children
from talkingvideo_operator.reconcile.decision import Event
from talkingvideo_operator.reconcile.failures import sentence
from talkingvideo_operator.reconcile.losses import prepared_again
from talkingvideo_operator.reconcile.objects import Job
from talkingvideo_operator.reconcile.planned import with_plan
from talkingvideo_operator.reconcile.records import entry_of, record_of, stage_entry, stage_record
from talkingvideo_operator.reconcile.retry import Record, Trial, follow
from talkingvideo_operator.settings import OperatorConfig


@dataclass(frozen=True)
class Account:
    """The books, closed.

    Attributes:
        status: With everything in it that has ended.
        prepare: How the preparation stands.
        chunks: How each unfinished chunk stands.
        stitch: How the join stands.
        result: Its report.
        failure: Why no more is to be tried.
        stray: Unfinished Jobs that nobody waits for.
        events: What is news.
    """

    status: TalkingVideoStatus
    prepare: Trial | None = None
    chunks: dict[int, Trial] = field(default_factory=dict)
    stitch: Trial | None = None
    result: StitchReport | None = None
    failure: Failure | None = None
    stray: tuple[Job, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def trials(self) -> Iterable[Trial]:
        """Everything that is not finished."""
        return [*filter(None, (self.prepare, self.stitch)), *self.chunks.values()]

    @property
    def running(self) -> list[Job]:
        """Jobs whose end is awaited."""
        return [trial.running for trial in self.trials if trial.running]

    @property
    def look_again(self) -> list[datetime]:
        """When the books may change though nothing is heard."""
        moments = [t.look_again for t in self.trials] + [t.record.not_before for t in self.trials if not t.running]
        return [moment for moment in moments if moment]


def account(
    status: TalkingVideoStatus, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> Account:
    """Close the books; where they end with work that the store has lost, those of prepare are opened again.

    Args:
        status: As it was written last, for the revision at hand.
        children: Of that revision.
        profile: Attempts and GPUs.
        config: Back-off and grace times.
        now: The present.
    """
    books = _account_stages(status, children, profile, config, now)
    if books.failure is None:
        return books
    again = prepared_again(books.status, books.failure, profile.prepare.attempts, config.back_off, now)
    if again is None:
        return books
    fresh = account(again, children, profile, config, now)
    useless = (job for job in books.running if job not in fresh.running)
    news = Event(Reason.RETRYING, f"the video is prepared again: {sentence(books.failure)}", warning=True)
    return replace(fresh, stray=(*books.stray, *useless, *fresh.stray), events=(*books.events, news, *fresh.events))


def _account_stages(
    status: TalkingVideoStatus, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> Account:
    """Close the books stage by stage, as far as the video has come."""
    books = _account_prepare(Account(status), children, profile, config, now)
    if books.status.chunks is None:
        return books
    books = _account_chunks(books, books.status.chunks, children, profile, config, now)
    if books.chunks:
        return books
    books = replace(books, status=_reached(books.status, now))
    return _account_stitch(books, children, profile, config, now)


def _account_prepare(
    books: Account, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> Account:
    if books.status.plan_digest is not None:
        return books
    jobs = children.of_stage(Stage.PREPARE).get(None, [])
    record = stage_record(books.status, Stage.PREPARE)
    trial = follow(record, jobs, dict(children.pods), profile.prepare.attempts, config, now)
    books = _note(replace(books, prepare=trial), trial, record, Stage.PREPARE)
    if trial.done and trial.report is not None and trial.report.prepared is not None:
        return _take_plan(books, trial.report.prepared, children, now)
    return books


def _take_plan(books: Account, report: PrepareReport, children: Children, now: datetime) -> Account:
    status = with_plan(books.status, report, children, now)
    total, finished = len(report.chunk_frames), status.chunks.reused if status.chunks else 0
    events = [Event(Reason.PREPARED, f"{sum(report.chunk_frames)} frames in {total} chunks")]
    if finished:
        events.append(Event(Reason.CHUNKS_REUSED, f"{finished} of {total} chunks were rendered before"))
    return replace(books, status=status, prepare=None, events=(*books.events, *events))


def _account_chunks(
    books: Account, chunks: Chunks, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> Account:
    finished = set(decode_bitmap(chunks.finished, chunks.total))
    jobs = children.of_stage(Stage.RENDER)
    records = {entry.index: record_of(entry) for entry in chunks.failed}
    pods = dict(children.pods)
    just_finished = 0
    reports: list[RenderReport] = []
    used = 0.0
    for index in range(chunks.total):
        if index in finished:
            continue
        record = records.get(index, Record())
        trial = follow(record, jobs.get(index, []), pods, profile.render.attempts, config, now)
        used += trial.used_seconds
        books = _note(books, trial, record, Stage.RENDER, index)
        if trial.done:
            finished.add(index)
            just_finished += 1
            reports += [trial.report.rendered] if trial.report and trial.report.rendered else []
        else:
            books.chunks[index] = trial
    if just_finished:
        event = Event(Reason.CHUNK_RENDERED, f"{len(finished)} of {chunks.total} chunks are rendered")
        books = replace(books, events=(*books.events, event))
    updated = chunks.model_copy(
        update={
            "done": len(finished),
            "summary": f"{len(finished)}/{chunks.total}",
            "finished": encode_bitmap(finished, chunks.total),
            "failed": tuple(entry_of(index, t.record) for index, t in books.chunks.items() if t.record != Record()),
            "memory_modes": with_modes(chunks.memory_modes, (it.memory_mode for it in reports if it.memory_mode)),
        }
    )
    status = books.status.model_copy(
        update={
            "chunks": updated,
            "usage": _usage(books.status, profile, used),
            "warnings": with_warnings(books.status.warnings, (said for it in reports for said in it.warnings)),
        }
    )
    return replace(books, status=status)


def _account_stitch(
    books: Account, children: Children, profile: Profile, config: OperatorConfig, now: datetime
) -> Account:
    jobs = children.of_stage(Stage.STITCH).get(None, [])
    record = stage_record(books.status, Stage.STITCH)
    trial = follow(record, jobs, dict(children.pods), profile.stitch.attempts, config, now)
    books = _note(replace(books, stitch=trial), trial, record, Stage.STITCH)
    if trial.done and trial.report is not None:
        return replace(books, stitch=None, result=trial.report.stitched)
    return books


def _note(books: Account, trial: Trial, before: Record, stage: Stage, chunk: int | None = None) -> Account:
    """Take over a trial's record, its stray Jobs and its failure."""
    books = replace(books, stray=(*books.stray, *trial.stray))
    if trial.record == before:
        return books
    if stage is not Stage.RENDER:
        others = tuple(entry for entry in books.status.stage_attempts if entry.stage is not stage)
        entries = (*others, stage_entry(stage, trial.record))
        books = replace(books, status=books.status.model_copy(update={"stage_attempts": entries}))
    if trial.done or trial.failure is None:
        return books
    if trial.final:
        return replace(books, failure=books.failure or _failure(trial.failure, stage, chunk))
    what = stage.value if chunk is None else f"chunk {chunk}"
    message = f"{what}, attempt {trial.record.next_attempt}: {trial.failure.code.value}: {trial.failure.message}"
    return replace(books, events=(*books.events, Event(Reason.RETRYING, message, warning=True)))


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
