"""Makes the videos of this machine, some at once and the oldest first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
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
GRACE_SECONDS = 10.0
"""How long a run that is told to end may take before it is killed."""


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
                self._step()
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
        status = video.status
        try:
            status = await self._make(video)
        except asyncio.CancelledError:
            current = await self._videos.get(*key)
            if current is not None and current.spec.get("cancel"):
                self._videos.set_status(key, cancelled(current.status, _now()))
        except Exception:
            log.exception("a run has failed", video="/".join(key))
            self._videos.set_status(key, interrupted(status, 1, _now()))
        finally:
            del self._runs[key]
            self._videos.written.set()

    async def _make(self, video: VideoObject) -> TalkingVideoStatus:
        key = (video.namespace, video.name)
        file = self._write_document(video)
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
            assert process.stdout is not None
            async for text in process.stdout:
                if (line := decode_line(text.decode(errors="replace"))) is None:
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
            return status
        finally:
            await _end(process)
            file.unlink(missing_ok=True)
            shutil.rmtree(self._engine.plans / video.uid, ignore_errors=True)

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


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a run and its children, first by asking."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
