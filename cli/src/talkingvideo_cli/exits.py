"""How the command ends: its exit statuses, for scripts, and its errors, for people."""

from __future__ import annotations

import re
from enum import IntEnum

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_clients.kube.api import ApiError


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

FORBIDDEN = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]+)")?'
)
"""What RBAC's refusals contain (k8s.io/apiserver, ``responsewriters.forbiddenMessage``)."""

STORE_STATUSES = {
    ErrorCode.INPUT_VALIDATION: ExitStatus.USAGE,
    ErrorCode.STORE_ACCESS: ExitStatus.REFUSED,
    ErrorCode.WORKSPACE: ExitStatus.UNREACHABLE,
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


def of_api_error(error: ApiError) -> CommandError:
    """An error of the API server in words."""
    match error.status:
        case 0:
            return CommandError(ExitStatus.UNREACHABLE, error.message)
        case 401:
            return CommandError(
                ExitStatus.REFUSED, "the API server does not accept your credentials: log in to the cluster again"
            )
        case 403:
            return CommandError(ExitStatus.REFUSED, _forbidden(error.message))
        case 404 if not error.reason:
            message = (
                "this cluster does not know TalkingVideos: ask its administrator to install the operator and its CRD"
            )
            return CommandError(ExitStatus.NOT_FOUND, message)
        case 404:
            return CommandError(ExitStatus.NOT_FOUND, error.message)
        case 400 | 409 | 422:
            return usage(error.message)
    status = ExitStatus.UNREACHABLE if error.status >= 500 or error.status == 429 else ExitStatus.REFUSED
    return CommandError(status, f"the API server answers {error.status}: {error.message}")


def of_stage_error(error: StageError) -> CommandError:
    """An error of the models or of a store."""
    return CommandError(STORE_STATUSES.get(error.code, ExitStatus.FAILED), str(error))


def _forbidden(message: str) -> str:
    found = FORBIDDEN.search(message)
    if found is None:
        return message
    where = f" in the namespace {found['namespace']}" if found["namespace"] else " in all namespaces"
    group = found["group"] or '""'
    rule = f"apiGroups: [{group}], resources: [{found['resource']}], verbs: [{found['verb']}]"
    return f"you may not {found['verb']} {found['resource']}{where}: ask its administrator for a Role with the rule {{{rule}}}"
