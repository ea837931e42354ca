"""What stages tell the operator: a report or a failure in the pod's termination message, progress in the log.

A termination message holds at most 4,096 bytes (https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/):
lists are bitmaps, and warnings are dropped before anything that decides is.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import TypeVar

from pydantic import Field, ValidationError

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.model import Model
from talkingvideo_api.names import Stage

MAX_TERMINATION_BYTES = 4_096
MAX_SENTENCE = 1_000
CUT = "…"
"""At the end of a sentence of which more was said."""


Report = TypeVar("Report", bound=Model)


def encode_bitmap(indices: Iterable[int], length: int) -> str:
    """Base64 of one bit per index, least significant first."""
    bits = bytearray((length + 7) // 8)
    for index in indices:
        bits[index // 8] |= 1 << index % 8
    return base64.b64encode(bits).decode()


def decode_bitmap(bitmap: str, length: int) -> list[int]:
    """The indices whose bits are set."""
    bits = base64.b64decode(bitmap)
    return [index for index in range(length) if index // 8 < len(bits) and bits[index // 8] >> index % 8 & 1]


class Estimate(Model):
    """What rendering would take; nothing of it is promised."""

    windows: int
    """Windows still to be rendered."""
    gpu_seconds: float | None = None
    """For the whole video, where the engine has measured figures."""
    cost: float | None = None
    """In the currency of the profile's price."""


class PrepareReport(Model):
    """The plan, as far as the operator needs it."""

    plan_digest: str
    chunk_frames: tuple[int, ...]
    """Frames of each chunk, at most 500 chunks."""
    missing: str
    """Bitmap of the chunks that are not in the store yet."""
    width: int
    height: int
    delivered_width: int
    delivered_height: int
    estimate: Estimate | None = None
    chained: bool = False
    """Whether each chunk goes on from the one before, so that they are rendered in order."""
    memory_modes: tuple[str, ...] | None = None
    """Those in which the chunks that are in the store already were made, now or for an earlier video."""
    warnings: tuple[str, ...] = ()


class RenderReport(Model):
    """One chunk was rendered, or found finished."""

    chunk: int
    key: str
    frames: int
    resumed_windows: int = 0
    """Windows that an earlier, killed pod had finished."""
    load_seconds: float = 0
    render_seconds: float = 0
    memory_mode: str | None = None
    """How the engine kept its networks in the GPU's memory, where it has such modes; several are joined by ``; ``."""
    peak_gpu_bytes: int | None = None
    """Most memory that the engine had of one GPU, where it says so."""
    gpus: int = 0
    """GPUs that made the chunk together; 0 without one."""
    gpu_seconds: float = 0
    """Loading and rendering, times GPUs; of the attempt that finished the chunk."""
    part_seconds: dict[str, float] = Field(default_factory=dict)
    """Wall time by part of the engine."""
    warnings: tuple[str, ...] = ()
    """What the user should know of how it was made."""


class StitchReport(Model):
    """The result is in its place."""

    uri: str
    url: str | None = None
    thumbnail_uri: str
    report_uri: str
    mime_type: str = "video/mp4"
    bytes: int
    sha256: str
    width: int
    height: int
    frame_count: int
    frame_rate: int = 25
    duration_seconds: float


class FailureReport(Model):
    """Why a stage could not go on."""

    code: ErrorCode
    message: str
    field: str | None = None
    retryable: bool

    @classmethod
    def of(cls, error: StageError) -> FailureReport:
        """The report of an error, its sentences cut to what a status can hold."""
        cut = error.message[:MAX_SENTENCE]
        message = cut if cut == error.message else f"{cut[:-1]}{CUT}"
        return cls(code=error.code, message=message, field=error.field, retryable=error.retryable)


class TerminationMessage(Model):
    """What a pod leaves behind: exactly one of its fields."""

    prepared: PrepareReport | None = None
    rendered: RenderReport | None = None
    stitched: StitchReport | None = None
    failure: FailureReport | None = None

    def encode(self) -> str:
        """JSON below 4,096 bytes.

        Until it fits, warnings are dropped from the end, then memory modes, then the result's URL (its URI is there
        too), and a failure's sentence is cut.

        Raises:
            ValueError: It cannot be made to fit without losing what decides.
        """
        message: TerminationMessage | None = self
        while message is not None:
            text = message.to_json()
            if len(text.encode()) < MAX_TERMINATION_BYTES:
                return text
            message = message._shorter()
        raise ValueError("a termination message must stay below 4,096 bytes")

    def _shorter(self) -> TerminationMessage | None:
        """The message without the least important thing in it, or None when all of it is needed."""
        if self.prepared is not None and self.prepared.warnings:
            return TerminationMessage(prepared=_with(self.prepared, warnings=self.prepared.warnings[:-1]))
        if self.prepared is not None and self.prepared.memory_modes:
            return TerminationMessage(prepared=_with(self.prepared, memory_modes=self.prepared.memory_modes[:-1]))
        if self.rendered is not None and self.rendered.warnings:
            return TerminationMessage(rendered=_with(self.rendered, warnings=self.rendered.warnings[:-1]))
        if self.stitched is not None and self.stitched.url is not None:
            return TerminationMessage(stitched=_with(self.stitched, url=None))
        if self.failure is not None and self.failure.message:
            return TerminationMessage(failure=_with(self.failure, message=_three_quarters(self.failure.message)))
        return None

    @classmethod
    def decode(cls, text: str | None) -> TerminationMessage | None:
        """Read one; None for an empty, cut or foreign message (killed pods leave such)."""
        try:
            return cls.model_validate_json(text) if text else None
        except ValidationError:
            return None


def _with(report: Report, **changes: object) -> Report:
    return report.model_copy(update=changes)


def _three_quarters(sentence: str) -> str:
    kept = sentence.removesuffix(CUT)[: 3 * len(sentence) // 4 - 1]
    return f"{kept}{CUT}" if kept else ""


class Progress(Model):
    """One line of a stage's log, as JSON under the key ``progress``."""

    stage: Stage
    fraction: float
    """0..1 of this stage or chunk."""
    message: str = ""
    """What is being done, for people."""
    chunk: int | None = None


class ProgressLine(Model):
    """The line itself."""

    progress: Progress

    @classmethod
    def latest(cls, log: str) -> Progress | None:
        """The last progress in a log's tail, or None."""
        for line in reversed(log.splitlines()):
            if line.startswith('{"progress":'):
                try:
                    return cls.model_validate_json(line).progress
                except ValidationError:
                    continue
        return None
