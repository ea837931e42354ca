"""What crosses between the process that asks, the server and its children: bounded and typed, read as input."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.texts import Line
from talkingvideo_worker.sandbox.limits import Limits

MAX_ANSWER = 256_000
"""Bytes of a child's answer: a few numbers and sentences."""

MAX_TRACE = 4_000
MAX_MESSAGE = 1_000
MAX_FIELD = 200
"""Characters."""


Task = Callable[[dict[str, Any]], dict[str, Any]]
"""A function that a child performs: from arguments to a result, both JSON objects."""


Sentence = Annotated[Line, Field(max_length=MAX_MESSAGE)]
"""Words that a child wrote, for people: without line ends and control characters, since they go into status and logs."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Request(_Message):
    """A task for a child.

    Attributes:
        task: Its name.
        arguments: Its arguments; the task validates them.
        folder: The folder in which the child may write.
        limits: What it may use.
    """

    task: str
    arguments: dict[str, Any]
    folder: str
    limits: Limits


class Failure(_Message):
    """A StageError that a task raised."""

    code: ErrorCode
    message: Sentence
    field: Annotated[Line, Field(max_length=MAX_FIELD)] | None = None
    retryable: bool


class Trouble(StrEnum):
    """Why a task ended without a result of its own."""

    MEMORY = "memory"
    FILE_SIZE = "fileSize"
    DISK = "disk"
    DEFECT = "defect"


class Answer(_Message):
    """A child's answer: exactly one of ``result``, ``failure`` and ``trouble``.

    Attributes:
        result: What the task returned.
        failure: The error that it raised.
        trouble: Anything else that it raised.
        trace: Where that came from, without texts of exceptions.
        open_doors: The parts of the sandbox that this kernel does not have.
    """

    result: dict[str, Any] | None = None
    failure: Failure | None = None
    trouble: Trouble | None = None
    trace: str = Field(default="", max_length=MAX_TRACE)
    open_doors: tuple[str, ...] = Field(default=(), max_length=4)


class Ended(_Message):
    """How a child ended, as the server saw it.

    Attributes:
        answer: The bytes that the child wrote, as text.
        signal: The signal that ended it.
        late: Whether it was killed because of the time that had passed.
        cpu_seconds: Its computing time.
        peak_bytes: The most memory that was resident, including what it shares with the server.
    """

    answer: str
    signal: int | None = None
    late: bool = False
    cpu_seconds: float
    peak_bytes: int
