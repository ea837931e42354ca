"""Makes the videos of this machine, some at once and the oldest first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
import yaml

from talkingvideo_api.conditions import ENDED_PHASES, Phase
from talkingvideo_api.run_lines import ReportLine, StartedLine, decode_line
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_gateway.local.objects import LocalVideos
from talkingvideo_gateway.local.status import after_line, cancelled, interrupted, planned, queued
from talkingvideo_gateway.videos.object import VideoObject

log = structlog.get_logger(__name__)

PROGRESS_SECONDS = 1.0
"""Least time between two writes of progress."""

LINE_BYTES = 1 << 20
RESULT_SUFFIXES = (".mp4", ".jpg", ".json")
"""Of the files that the command writes beside each other, named after the object."""

GRACE_SECONDS = 10.0
"""How long a run that is told to end may take before it is killed."""

AGAIN_SECONDS = 5.0
"""After how long something is tried again that could not be written: the disk may have been full."""

LOOK_SECONDS = 1.0
"""How often a silent run is looked at: what it has left behind may hold its output open after its end."""


@dataclass(frozen=True)
class Engine:
    """How videos are made.

    Attributes:
        command: The program; ``run FILE …`` is added.
        name: Engine of videos that name none; the command's own choice where None.
        out: Folder of results.
        workspace: Folder of finished chunks.
        documents: Folder of the runs' YAML files.
        plans: Folder of the runs' plans.
    """

    command: tuple[str, ...]
    name: str | None
    out: Path
    workspace: Path
    documents: Path
    plans: Path


class LocalQueue:
    """Runs the worker's command for each video that waits.

    Args:
        videos: The objects, whose status this alone writes.
        engine: How they are made.
        at_once: Most videos at once.
    """

    def __init__(self, videos: LocalVideos, engine: Engine, at_once: int) -> None:
        self._videos = videos
        self._engine = engine
        self._at_once = at_once
        self._runs: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Make videos until the task is cancelled; what runs then is ended, and goes on at the next start."""
        try:
            while True:
                self._videos.written.clear()
                try:
                    self._step()
                except sqlite3.Error:
                    log.exception("the queue cannot be written; it is tried again")
                    await asyncio.sleep(AGAIN_SECONDS)
                else:
                    await self._videos.written.wait()
        finally:
            await self._end_all()

    def _step(self) -> None:
        """End what nobody wants any more, start what there is room for, and number the rest."""
        videos = {(video.namespace, video.name): video for video in self._videos.all()}
        for key, run in self._runs.items():
            video = videos.get(key)
            if video is None or video.spec.get("cancel"):
                _stop(run)
        waiting = [key for key, video in videos.items() if key not in self._runs and _waits(video)]
        for key in waiting[: max(0, self._at_once - len(self._runs))]:
            self._runs[key] = asyncio.create_task(self._run(videos[key]), name="/".join(key))
        for position, key in enumerate((key for key in waiting if key not in self._runs), start=1):
            self._videos.set_status(key, queued(position))
        for key, video in videos.items():
            if key not in self._runs and video.spec.get("cancel") and video.status.phase not in ENDED_PHASES:
                self._videos.set_status(key, cancelled(video.status, _now()))

    async def _run(self, video: VideoObject) -> None:
        key = (video.namespace, video.name)
        try:
            await self._make(video)
        except asyncio.CancelledError:
            current = await self._videos.get(*key)
            if current is not None and current.spec.get("cancel") and current.status.phase not in ENDED_PHASES:
                self._videos.set_status(key, cancelled(current.status, _now()))
        except Exception:
            log.exception("a run has failed", video="/".join(key))
            await self._fail(video)
        finally:
            if await self._videos.get(*key) is None:
                self._delete_results(video)
            del self._runs[key]
            self._videos.written.set()

    def _delete_results(self, video: VideoObject) -> None:
        """Delete what a run has delivered of a video that was deleted meanwhile: its status never said where it is."""
        for suffix in RESULT_SUFFIXES:
            (self._engine.out / video.namespace / f"{video.name}{suffix}").unlink(missing_ok=True)

    async def _fail(self, video: VideoObject) -> None:
        """Say that a run could not be made. Until that is written its place is not free: it would be made again at once."""
        key = (video.namespace, video.name)
        while (current := await self._videos.get(*key)) is not None:
            status = interrupted(current.status, 1, _now()).model_copy(update={"observed_retry": video.retry})
            try:
                self._videos.set_status(key, status)
            except sqlite3.Error:
                log.exception("a failure cannot be written; it is tried again", video="/".join(key))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def _make(self, video: VideoObject) -> None:
        file = self._write_document(video)
        try:
            await self._follow(video, file)
        finally:
            file.unlink(missing_ok=True)
            shutil.rmtree(self._engine.plans / video.uid, ignore_errors=True)

    async def _follow(self, video: VideoObject, file: Path) -> None:
        """Run the command, and write what it says of itself."""
        key = (video.namespace, video.name)
        process = await asyncio.create_subprocess_exec(
            *self._engine.command,
            *self._arguments(video, file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
            start_new_session=True,
        )
        status, ended, written = TalkingVideoStatus(phase=Phase.PREPARING, progress=0), False, 0.0
        self._videos.set_status(key, status)
        try:
            async for text in _lines(process):
                if (line := decode_line(text)) is None:
                    continue
                status = after_line(status, line, _now()).model_copy(update={"observed_retry": video.retry})
                ended = ended or status.completion_time is not None
                now = asyncio.get_running_loop().time()
                if isinstance(line, (ReportLine, StartedLine)) or now - written > PROGRESS_SECONDS:
                    self._videos.set_status(key, status)
                    written = now
            exit_status = await process.wait()
            if not ended:
                dry_run = video.spec.get("dryRun") and exit_status == 0
                status = planned(status, _now()) if dry_run else interrupted(status, exit_status, _now())
                self._videos.set_status(key, status.model_copy(update={"observed_retry": video.retry}))
        finally:
            await _end(process)

    def _arguments(self, video: VideoObject, file: Path) -> list[str]:
        engine = [] if self._engine.name is None else ["--engine", self._engine.name]
        out = self._engine.out / video.namespace
        return [
            "run", str(file), "--out", str(out), "--workspace", str(self._engine.workspace), "--progress", "json",
            "--plan", str(self._engine.plans / video.uid), *engine,
        ]  # fmt: skip

    def _write_document(self, video: VideoObject) -> Path:
        document = self._videos.document(video)
        spec = {key: value for key, value in document["spec"].items() if key not in ("profile", "cancel")}
        content = {
            "apiVersion": document["apiVersion"],
            "kind": document["kind"],
            "metadata": {"name": video.name, "namespace": video.namespace},
            "spec": spec,
        }
        self._engine.documents.mkdir(parents=True, exist_ok=True)
        file = self._engine.documents / f"{video.uid}.yaml"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return file

    async def _end_all(self) -> None:
        runs = tuple(self._runs.values())
        for run in runs:
            _stop(run)
        await asyncio.gather(*runs, return_exceptions=True)


def worker_command() -> tuple[str, ...]:
    """The worker's command beside this interpreter."""
    return (str(Path(sys.executable).parent / "talkingvideo"),)


def _waits(video: VideoObject) -> bool:
    """Whether it is to be made: new, interrupted by an end of this process, or to be retried."""
    return not video.spec.get("suspend") and not video.state.ended


def _stop(run: asyncio.Task[None]) -> None:
    """End a run once: a second cancellation would interrupt the end of its process."""
    if not run.cancelling():
        run.cancel()


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    """The lines that a run prints, without those that are too long, until it ends: what it leaves behind is killed."""
    assert process.stdout is not None
    while True:
        if process.returncode is not None:
            _signal(process, signal.SIGKILL)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                text = await process.stdout.readline()
        except (TimeoutError, ValueError):
            continue
        if not text:
            return
        yield text.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a run and its children, first by asking."""
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    _signal(process, signal.SIGKILL)
    await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to all that a run has started and that is still there: its processes are a group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
