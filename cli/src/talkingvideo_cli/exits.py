"""How the command ends: its exit statuses, for scripts, and its errors, for people."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit statuses of every command."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    CANCELLED = 5
    UNREACHABLE = 6
    UNFINISHED = 7
    INTERRUPTED = 130


MEANINGS: dict[ExitStatus, str] = {
    ExitStatus.SUCCEEDED: "The command did what it says; a video that was waited for has succeeded.",
    ExitStatus.FAILED: "The video has failed, or it is in a state in which the command cannot do anything with it.",
    ExitStatus.USAGE: "An option, a file or the resulting object is wrong. Nothing was created.",
    ExitStatus.NOT_FOUND: "There is no such TalkingVideo, result or file in the store, or the cluster does not know TalkingVideos.",
    ExitStatus.REFUSED: "The API server or the store refuses: credentials, rights, quotas or policies.",
    ExitStatus.CANCELLED: "The video that was waited for was cancelled.",
    ExitStatus.UNREACHABLE: "The API server or the store does not answer, or has failed.",
    ExitStatus.UNFINISHED: "The video has not ended within `--timeout`. It goes on.",
    ExitStatus.INTERRUPTED: "Interrupted from the keyboard (any signal: 128 and its number). The video goes on.",
}


class CommandError(Exception):
    """The command cannot go on, for a reason that the person who runs it can read.

    Args:
        status: How the command ends.
        message: What is wrong and what to do.
    """

    def __init__(self, status: ExitStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def usage(message: str) -> CommandError:
    """The error of a wrong option, file or object."""
    return CommandError(ExitStatus.USAGE, message)
