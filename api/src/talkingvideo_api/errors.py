"""The table of errors: code, exit status, who has to act, and whether another attempt can succeed.

A stage ends with the exit status of its code and writes the details into its termination message. The operator decides by
``retryable`` what happens next, and ``status.failure`` shows the code to the user.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Responsibility(StrEnum):
    """Who has to act before a failed stage can succeed."""

    USER = "User"
    CLUSTER = "Cluster"
    PROJECT = "Project"


class ErrorCode(StrEnum):
    """Codes in ``status.failure.code``."""

    INPUT_VALIDATION = "E_INPUT_VALIDATION"
    NOT_SUPPORTED = "E_NOT_SUPPORTED"
    DOWNLOAD_FAILED = "E_DOWNLOAD_FAILED"
    FFMPEG = "E_FFMPEG"
    AUDIO_EMBEDDING = "E_AUDIO_EMBEDDING"
    PIPELINE_LOAD = "E_PIPELINE_LOAD"
    GENERATION_RUNTIME = "E_GENERATION_RUNTIME"
    OOM = "E_OOM"
    WORKSPACE = "E_WORKSPACE"
    UPLOAD = "E_UPLOAD"
    OUTPUT_EXISTS = "E_OUTPUT_EXISTS"
    TIMEOUT = "E_TIMEOUT"
    EVICTED = "E_EVICTED"
    NODE_LOST = "E_NODE_LOST"
    STORE_ACCESS = "E_STORE_ACCESS"
    INTERNAL = "E_INTERNAL"


@dataclass(frozen=True)
class ErrorKind:
    """One row of the table.

    Attributes:
        exit_status: What a stage's process ends with (1 is left to Python, 126 and above to shells and signals).
        responsible: Who has to act.
        retryable: Whether the same work may succeed when tried again unchanged.
        meaning: One sentence for the documentation.
    """

    exit_status: int
    responsible: Responsibility
    retryable: bool
    meaning: str


ERRORS: dict[ErrorCode, ErrorKind] = {
    ErrorCode.INPUT_VALIDATION: ErrorKind(
        10, Responsibility.USER, False, "An input or a field cannot be used as it is."
    ),
    ErrorCode.NOT_SUPPORTED: ErrorKind(
        11, Responsibility.USER, False, "The field is part of the resource, but this release does not support it."
    ),
    ErrorCode.OUTPUT_EXISTS: ErrorKind(
        12, Responsibility.USER, False, "Another file has the result's name, and output.overwrite is false."
    ),
    ErrorCode.STORE_ACCESS: ErrorKind(
        13, Responsibility.USER, False, "The store refuses the credentials, or does not exist."
    ),
    ErrorCode.DOWNLOAD_FAILED: ErrorKind(20, Responsibility.CLUSTER, True, "An input could not be fetched."),
    ErrorCode.WORKSPACE: ErrorKind(
        21, Responsibility.CLUSTER, True, "The workspace could not be read or written, or has lost a file."
    ),
    ErrorCode.UPLOAD: ErrorKind(22, Responsibility.CLUSTER, True, "The result could not be written."),
    ErrorCode.TIMEOUT: ErrorKind(23, Responsibility.CLUSTER, True, "A stage or the whole video ran past its deadline."),
    ErrorCode.EVICTED: ErrorKind(24, Responsibility.CLUSTER, True, "The pod was evicted or preempted."),
    ErrorCode.NODE_LOST: ErrorKind(25, Responsibility.CLUSTER, True, "The pod's node has stopped responding."),
    ErrorCode.OOM: ErrorKind(30, Responsibility.CLUSTER, True, "The container or the GPU ran out of memory."),
    ErrorCode.PIPELINE_LOAD: ErrorKind(
        31, Responsibility.CLUSTER, True, "The engine or its weights could not be loaded."
    ),
    ErrorCode.AUDIO_EMBEDDING: ErrorKind(32, Responsibility.PROJECT, True, "The audio features could not be computed."),
    ErrorCode.GENERATION_RUNTIME: ErrorKind(33, Responsibility.PROJECT, True, "The engine failed while rendering."),
    ErrorCode.FFMPEG: ErrorKind(34, Responsibility.PROJECT, True, "Encoding, decoding or joining failed."),
    ErrorCode.INTERNAL: ErrorKind(40, Responsibility.PROJECT, True, "A defect of this project."),
}

EXIT_STATUSES: dict[int, ErrorCode] = {kind.exit_status: code for code, kind in ERRORS.items()}


class StageError(Exception):
    """A stage cannot go on, for a reason that the person who asked for the video can read.

    Args:
        code: The row of the table.
        message: What was wrong and what to do, without secrets, at most a few sentences.
        field: Path of the resource's field that caused it, such as ``spec.source.image.uri``.
        retryable: Overrides the table's answer, for example for a download answered with 404.
    """

    def __init__(
        self, code: ErrorCode, message: str, *, field: str | None = None, retryable: bool | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retryable = ERRORS[code].retryable if retryable is None else retryable

    @classmethod
    def invalid(cls, message: str, field: str | None = None) -> StageError:
        """An E_INPUT_VALIDATION: the user has to change an input or a field.

        Args:
            message: What is wrong and what to do.
            field: Path of the resource's field; None where the reason is not in the resource.
        """
        return cls(ErrorCode.INPUT_VALIDATION, message, field=field)

    @property
    def exit_status(self) -> int:
        """The process's exit status for this error."""
        return ERRORS[self.code].exit_status

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message
