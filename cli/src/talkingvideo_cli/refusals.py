"""What the API server, the store and the models refuse, in words and with a status."""

from __future__ import annotations

import re

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_cli.exits import CommandError, ExitStatus, usage
from talkingvideo_clients.kube.api import ApiError

FORBIDDEN = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]+)")?'
)
"""What RBAC's refusals contain (k8s.io/apiserver, ``responsewriters.forbiddenMessage``)."""

STORE_STATUSES = {
    ErrorCode.INPUT_VALIDATION: ExitStatus.USAGE,
    ErrorCode.STORE_ACCESS: ExitStatus.REFUSED,
    ErrorCode.WORKSPACE: ExitStatus.UNREACHABLE,
}


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
