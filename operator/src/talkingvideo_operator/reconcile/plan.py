"""What happens next to a video. This is the place where it is decided, and the only one.

`plan` is pure: the same video, children, configuration and time give the same decision, so it can be run again after a
crash at any point. It reads from top to bottom as the life of a video.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from talkingvideo_api.conditions import Phase, Reason
from talkingvideo_api.effective import DEFAULT_MAX_PARALLEL, resolve
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile
from talkingvideo_api.reports import StitchReport
from talkingvideo_api.status import Failure, TalkingVideoStatus
from talkingvideo_api.support import unsupported, without_effect
from talkingvideo_operator.reconcile.accounting import Account, account
from talkingvideo_operator.reconcile.admission import Admission, Grant, claim_of
from talkingvideo_operator.reconcile.allow import refusals
from talkingvideo_operator.reconcile.brevity import excerpt
from talkingvideo_operator.reconcile.children import Children
from talkingvideo_operator.reconcile.conclude import conclude, go_on
from talkingvideo_operator.reconcile.deadline import deadline
from talkingvideo_operator.reconcile.decision import Decision, DeleteRevisions, Event, Start
from talkingvideo_operator.reconcile.failures import (
    missing_profile,
    missing_store,
    reason_of,
    refused,
    sentence,
    too_late,
)
from talkingvideo_operator.reconcile.objects import Video
from talkingvideo_operator.reconcile.records import forgive
from talkingvideo_operator.reconcile.retry import Record, Trial
from talkingvideo_operator.reconcile.scene import Scene
from talkingvideo_operator.reconcile.status import ENDED, at_rest, begin_or_continue, output, unreadable
from talkingvideo_operator.reconcile.ttl import children_expire
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
    scene = Scene(video, video.spec, children, config, now, admission)
    status = begin_or_continue(video, now)
    if status.phase in ENDED:
        if not scene.retry_wanted(status):
            return _rest(scene)
        status = _reopen(status, video, now)
    profile = config.profiles.get(scene.profile_name)
    if profile is None:
        return _fail(scene, Account(status), missing_profile(scene.profile_name, config))
    if status.effective is None:
        accepted = _accept(scene, status, profile)
        if isinstance(accepted, Failure):
            return _fail(scene, Account(status), accepted)
        status = accepted
    if status.effective is not None and status.effective.store not in profile.stores:
        return _fail(scene, Account(status), missing_store(status.effective.store, profile))

    books = account(status, children.of_revision(video.revision), profile, config, now)
    if books.failure is not None:
        return _fail(scene, books, books.failure)
    if books.result is not None:
        return _succeed(scene, books, books.result)
    if (limit := deadline(scene.spec, status)) and limit <= now:
        return _fail(scene, books, too_late(scene.spec))
    if scene.spec.suspend:
        return _suspend(scene, books)
    if books.status.chunks is None:
        return _prepare(scene, books)
    if scene.spec.dry_run:
        return _end_dry_run(scene, books)
    if books.chunks:
        return _render(scene, books, profile)
    return _stitch(scene, books)


def _accept(scene: Scene, status: TalkingVideoStatus, profile: Profile) -> TalkingVideoStatus | Failure:
    """Check what only the operator can check, and pin the values in force for the whole revision."""
    spec, video = scene.spec, scene.video
    if refusal := next(refusals(spec, profile), None):
        return refused(ErrorCode.INPUT_VALIDATION, refusal.message, refusal.field)
    effective = resolve(spec, profile, profile_name=scene.profile_name, uid=video.uid, revision=video.revision or "")
    if lacking := next(iter(unsupported(spec, effective)), None):
        return refused(ErrorCode.NOT_SUPPORTED, lacking.message, lacking.field)
    return status.model_copy(
        update={"effective": excerpt(effective), "warnings": tuple(without_effect(spec, effective))}
    )


def _prepare(scene: Scene, books: Account) -> Decision:
    trial = books.prepare or Trial(Record())
    starts = (Start(Stage.PREPARE, trial.record.next_attempt),) if trial.may_start(scene.now) else ()
    return go_on(scene, books, Phase.PREPARING, "inputs are fetched, checked and split", starts)


def _render(scene: Scene, books: Account, profile: Profile) -> Decision:
    """Start as many chunks as the video, its namespace and the cluster have room for, in order."""
    ready = [index for index in _in_turn(books) if books.chunks[index].may_start(scene.now)]
    grant = _granted(scene, books, profile, len(ready))
    starts = tuple(Start(Stage.RENDER, books.chunks[i].record.next_attempt, i) for i in ready[: grant.slots])
    look_again = scene.now + QUEUE_REFRESH if grant.lacking else None
    if grant.position is not None and not books.running:
        message = f"waits for a place to render: {grant.position} in the queue"
        return go_on(scene, books, Phase.RENDERING, message, queue_position=grant.position, look_again=look_again)
    return go_on(scene, books, Phase.RENDERING, "chunks are rendered", starts, look_again=look_again)


def _in_turn(books: Account) -> list[int]:
    """The chunks whose turn it is: of a chained video the first unfinished one, which the next goes on from."""
    chunks = books.status.chunks
    unfinished = list(books.chunks)
    return unfinished[:1] if chunks is not None and chunks.chained else unfinished


def _stitch(scene: Scene, books: Account) -> Decision:
    trial = books.stitch or Trial(Record())
    starts = (Start(Stage.STITCH, trial.record.next_attempt),) if trial.may_start(scene.now) else ()
    return go_on(scene, books, Phase.STITCHING, "chunks are joined", starts)


def _suspend(scene: Scene, books: Account) -> Decision:
    """Nothing is started, what runs is ended, what is finished stays."""
    status = scene.video.status
    is_news = status.phase is not Phase.SUSPENDED or status.revision != scene.video.revision
    events = (Event(Reason.SUSPENDED, "unfinished work is ended, finished chunks are kept"),) if is_news else ()
    idle = replace(books, chunks={index: replace(trial, running=None) for index, trial in books.chunks.items()})
    return conclude(
        scene,
        idle,
        Phase.SUSPENDED,
        Reason.SUSPENDED,
        "spec.suspend is true",
        deletes=scene.unfinished_jobs(),
        events=events,
    )


def _end_dry_run(scene: Scene, books: Account) -> Decision:
    message = "the plan and an estimate are in status; nothing was rendered"
    events = (Event(Reason.DRY_RUN_FINISHED, message),)
    return conclude(scene, books, Phase.SUCCEEDED, Reason.DRY_RUN_FINISHED, message, events=events)


def _succeed(scene: Scene, books: Account, result: StitchReport) -> Decision:
    books = replace(books, status=books.status.model_copy(update={"output": output(result)}))
    message = f"{result.frame_count} frames, {result.duration_seconds:.2f} s"
    events = (Event(Reason.SUCCEEDED, message),)
    return conclude(scene, books, Phase.SUCCEEDED, Reason.SUCCEEDED, message, events=events)


def _fail(scene: Scene, books: Account, failure: Failure) -> Decision:
    """A failed video creates nothing more, and what still runs is ended: nobody would use it."""
    books = replace(books, status=books.status.model_copy(update={"failure": failure}))
    reason, message = reason_of(failure, books.status), sentence(failure)
    events = (Event(reason, message, warning=True),)
    return conclude(scene, books, Phase.FAILED, reason, message, deletes=scene.unfinished_jobs(), events=events)


def _rest(scene: Scene) -> Decision:
    """Ended: nothing more is created; after their time the children go."""
    status = at_rest(scene.video)
    present = any(not job.deleting for job in scene.children.jobs)
    expiry = children_expire(scene.spec, status) if present else None
    if expiry is not None and expiry <= scene.now:
        return Decision(status, deletes=(DeleteRevisions(but=None),))
    deletes = scene.unfinished_jobs() if status.phase is Phase.FAILED else ()
    return Decision(status, deletes=(*scene.leftovers(), *deletes), look_again=expiry)


def _reopen(status: TalkingVideoStatus, video: Video, now: datetime) -> TalkingVideoStatus:
    """A failed revision whose retry was asked for; one that was refused at the door is looked at anew."""
    status = forgive(status)
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
    message = sentence(failure)
    is_news = video.status.observed_generation != video.generation
    events = (Event(Reason.INVALID_SPEC, message, warning=True),) if is_news else ()
    present = any(not job.deleting for job in children.jobs)
    deletes = (DeleteRevisions(but=None),) if present else ()
    return Decision(unreadable(video, failure, message, now), deletes=deletes, events=events)


def _granted(scene: Scene, books: Account, profile: Profile, ready: int) -> Grant:
    chunking = scene.spec.chunking
    limit = (chunking.max_parallel if chunking else None) or DEFAULT_MAX_PARALLEL
    wanted = max(0, min(ready, limit - len(books.running)))
    if scene.spec.queue_name or not wanted:
        return Grant(wanted)
    return scene.admission().grant(claim_of(scene.video, profile, wanted, books.status.start_time))
