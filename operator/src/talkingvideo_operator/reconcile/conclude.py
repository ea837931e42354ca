"""From a step's verdict to a complete decision."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from talkingvideo_api.conditions import Phase, Reason
from talkingvideo_operator.reconcile.accounting import Account
from talkingvideo_operator.reconcile.deadline import deadline
from talkingvideo_operator.reconcile.decision import Create, Decision, Delete, DeleteJob, Event, PlaceOrder, Start
from talkingvideo_operator.reconcile.scene import Scene
from talkingvideo_operator.reconcile.status import described
from talkingvideo_operator.reconcile.waiting import held_up, lacks_volumes


def go_on(
    scene: Scene,
    books: Account,
    phase: Phase,
    message: str,
    starts: tuple[Start, ...] = (),
    *,
    queue_position: int | None = None,
    look_again: datetime | None = None,
) -> Decision:
    """Work goes on, or waits and says for what."""
    reason = Reason(phase.value) if queue_position is None else Reason.QUEUED
    obstacle = held_up(books.running, scene.children, scene.config.waiting_seconds, scene.now)
    if obstacle is not None:
        reason, message = obstacle
    news = () if scene.video.status.phase is phase else (Event(Reason(phase.value), message),)
    return conclude(
        scene,
        books,
        phase,
        reason,
        message,
        creates=_with_order(scene, books, starts),
        events=news,
        queue_position=queue_position,
        look_again=look_again,
    )


def conclude(
    scene: Scene,
    books: Account,
    phase: Phase,
    reason: Reason,
    message: str,
    *,
    creates: tuple[Create, ...] = (),
    deletes: tuple[Delete, ...] = (),
    events: tuple[Event, ...] = (),
    queue_position: int | None = None,
    look_again: datetime | None = None,
) -> Decision:
    """Complete the status, and add what every step has to do: leftovers go, news is told, the clock is set."""
    status = described(books, scene.children, phase, reason, message, queue_position=queue_position, now=scene.now)
    if phase is not Phase.FAILED:
        status = status.model_copy(update={"observed_retry": scene.video.retry})
    stray = (DeleteJob(job) for job in books.stray)
    return Decision(
        status=status,
        creates=creates,
        deletes=(*scene.leftovers(), *dict.fromkeys((*stray, *deletes))),
        events=(*scene.first_words(), *books.events, *events),
        look_again=min((m for m in _moments(scene, books, look_again) if m > scene.now), default=None),
    )


def _with_order(scene: Scene, books: Account, starts: tuple[Start, ...]) -> tuple[Create, ...]:
    """Whatever starts finds its order, and so does a pod that seems to miss it.

    It may have been deleted: with the other children long after a failure, or by somebody.
    """
    seems_missing = lacks_volumes(books.running, scene.children, scene.config.waiting_seconds, scene.now)
    return (PlaceOrder(), *starts) if starts or seems_missing else ()


def _moments(scene: Scene, books: Account, look_again: datetime | None) -> Iterator[datetime]:
    """When something may be due though nothing is heard."""
    yield from books.look_again
    if look_again is not None:
        yield look_again
    if limit := deadline(scene.spec, books.status):
        yield limit
    patience = timedelta(seconds=scene.config.waiting_seconds)
    for job in books.running:
        if job.created:
            yield job.created + patience
        yield from (pod.created + patience for pod in scene.children.pods_of(job) if pod.phase == "Pending")
