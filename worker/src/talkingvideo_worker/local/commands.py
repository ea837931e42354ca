"""What ``talkingvideo run`` and ``talkingvideo plan`` do, and say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from talkingvideo_api.order import Order
from talkingvideo_api.reports import PrepareReport, StitchReport
from talkingvideo_worker.local.default_engine import default_engine
from talkingvideo_worker.local.documents import read_documents
from talkingvideo_worker.local.orders import make_order, warnings_of
from talkingvideo_worker.local.places import LocalPlaces, claims_of
from talkingvideo_worker.local.run import LocalMounts, prepare_locally, run_locally
from talkingvideo_worker.terminal import TerminalReporter, say


def make_videos(file: Path, engine: str | None, mounts: Iterable[str], places: LocalPlaces) -> None:
    """Make every video of a file, and say where it is.

    Args:
        file: The YAML.
        engine: Of objects that name none; see `default_engine` when absent.
        mounts: ``claim=DIR`` each.
        places: Folders of results and chunks.

    Raises:
        StageError: Before any work when the file or an option is wrong; else of the first video that fails.
    """
    orders, local_mounts = _orders(file, engine, mounts, places)
    places.require_writable()
    for order in orders:
        if order.spec.dry_run:
            _say_plan(order, _plan_of(order, local_mounts))
        else:
            _say_result(order, _make_video(order, local_mounts), places)


def plans_of(file: Path, engine: str | None, mounts: Iterable[str], places: LocalPlaces) -> Iterator[PrepareReport]:
    """Plan every video of a file; see `make_videos`."""
    orders, local_mounts = _orders(file, engine, mounts, places)
    for order in orders:
        yield _plan_of(order, local_mounts)


def _orders(
    file: Path, engine: str | None, mounts: Iterable[str], places: LocalPlaces
) -> tuple[list[Order], LocalMounts]:
    """All are checked before the first is begun."""
    claims, documents = claims_of(mounts), read_documents(file)
    orders = [make_order(video, engine or default_engine(), places) for video in documents.videos]
    return orders, LocalMounts(claims, documents)


def _plan_of(order: Order, mounts: LocalMounts) -> PrepareReport:
    with TerminalReporter(order.name) as reporter:
        report = prepare_locally(order, mounts, reporter)
    _say_notes([*warnings_of(order), *report.warnings])
    return report


def _make_video(order: Order, mounts: LocalMounts) -> StitchReport:
    notes = warnings_of(order)
    with TerminalReporter(order.name) as reporter:

        def take_note(plan: PrepareReport) -> None:
            reporter.expect(plan)
            notes.extend(plan.warnings)

        report = run_locally(order, mounts, reporter, take_note)
    _say_notes(notes)
    return report


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        say(f"note: {note}", style="yellow")


def _say_plan(order: Order, report: PrepareReport) -> None:
    frames, chunks = sum(report.chunk_frames), len(report.chunk_frames)
    size = f"{report.delivered_width}x{report.delivered_height}"
    say(f"{order.name}: dry run, {frames} frames in {chunks} chunks, {size}; nothing was rendered", style="green")


def _say_result(order: Order, report: StitchReport, places: LocalPlaces) -> None:
    shape = f"{report.width}x{report.height}, {report.bytes / 1e6:.1f} MB"
    say(f"{order.name}: {report.frame_count} frames, {report.duration_seconds:.2f} s, {shape}", style="green")
    for suffix, what in ((".mp4", "video"), (".jpg", "thumbnail"), (".json", "report")):
        say(f"  {what:<9} {places.out / f'{order.name}{suffix}'}")
