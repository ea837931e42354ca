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
        meaning: What happened, in one sentence.
        remedy: What to do, in one or two sentences.
    """

    exit_status: int
    responsible: Responsibility
    retryable: bool
    meaning: str
    remedy: str


ERRORS: dict[ErrorCode, ErrorKind] = {
    ErrorCode.INPUT_VALIDATION: ErrorKind(
        10,
        Responsibility.USER,
        False,
        "An input or a field cannot be used as it is.",
        "Correct the field or the input that the message names.",
    ),
    ErrorCode.NOT_SUPPORTED: ErrorKind(
        11,
        Responsibility.USER,
        False,
        "The field is part of the resource, but this release does not support it.",
        "Remove the field, or choose one of the values that the message names.",
    ),
    ErrorCode.OUTPUT_EXISTS: ErrorKind(
        12,
        Responsibility.USER,
        False,
        "Another file has the result's name, and output.overwrite is false.",
        "Choose another output.name, set output.overwrite, or delete the other file.",
    ),
    ErrorCode.STORE_ACCESS: ErrorKind(
        13,
        Responsibility.USER,
        False,
        "The store refuses the credentials, or does not exist.",
        "Check the bucket, and the Secret or ServiceAccount of the store in the object's namespace; then retry.",
    ),
    ErrorCode.DOWNLOAD_FAILED: ErrorKind(
        20,
        Responsibility.CLUSTER,
        True,
        "An input could not be fetched.",
        "Check that the address opens from inside the cluster; then retry.",
    ),
    ErrorCode.WORKSPACE: ErrorKind(
        21,
        Responsibility.CLUSTER,
        True,
        "The workspace could not be read or written, or has lost a file.",
        "Check that the store answers and has room; then retry. What it has lost is made again.",
    ),
    ErrorCode.UPLOAD: ErrorKind(
        22,
        Responsibility.CLUSTER,
        True,
        "The result could not be written.",
        "Check that the store answers, has room and may be written; then retry. Finished chunks are kept.",
    ),
    ErrorCode.TIMEOUT: ErrorKind(
        23,
        Responsibility.CLUSTER,
        True,
        "A stage or the whole video ran past its deadline.",
        "Raise activeDeadlineSeconds, or the deadlineSeconds of the profile; then retry. Finished work is kept.",
    ),
    ErrorCode.EVICTED: ErrorKind(
        24,
        Responsibility.CLUSTER,
        True,
        "The pod was evicted or preempted.",
        "Retry. If it happens often, the nodes lack memory or disk, or the object a priority.",
    ),
    ErrorCode.NODE_LOST: ErrorKind(
        25,
        Responsibility.CLUSTER,
        True,
        "The pod's node has stopped responding.",
        "Retry. If it happens often, look at the node.",
    ),
    ErrorCode.OOM: ErrorKind(
        30,
        Responsibility.CLUSTER,
        True,
        "The container or the GPU ran out of memory.",
        "Choose a smaller size or less parallel work, or raise the memory of the profile; then retry.",
    ),
    ErrorCode.PIPELINE_LOAD: ErrorKind(
        31,
        Responsibility.CLUSTER,
        True,
        "The engine or its weights could not be loaded.",
        "Check the profile's weights with talkingvideo weights check, and its image; then retry.",
    ),
    ErrorCode.AUDIO_EMBEDDING: ErrorKind(
        32,
        Responsibility.PROJECT,
        True,
        "The audio features could not be computed.",
        "Retry. If it fails again, report it with the logs.",
    ),
    ErrorCode.GENERATION_RUNTIME: ErrorKind(
        33,
        Responsibility.PROJECT,
        True,
        "The engine failed while rendering.",
        "Retry. If it fails again, report it with the logs.",
    ),
    ErrorCode.FFMPEG: ErrorKind(
        34,
        Responsibility.PROJECT,
        True,
        "Encoding, decoding or joining failed.",
        "Retry. If it fails again, report it with the logs.",
    ),
    ErrorCode.INTERNAL: ErrorKind(
        40,
        Responsibility.PROJECT,
        True,
        "A defect of this project.",
        "Retry. If it fails again, report it with the logs.",
    ),
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
