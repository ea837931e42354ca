"""Failures that the operator itself finds, and the condition's reason and message for any failure."""

from __future__ import annotations

from talkingvideo_api.conditions import Reason
from talkingvideo_api.effective import Effective
from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_api.names import ANNOTATION_RETRY, Stage
from talkingvideo_api.profile import Profile
from talkingvideo_api.reports import MAX_MESSAGE_BYTES
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import Failure, TalkingVideoStatus
from talkingvideo_api.texts import truncate
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.demand import job_cost, namespace_limit
from talkingvideo_operator.planning.namespaces import Namespace
from talkingvideo_operator.settings import OperatorConfig

PROFILE_FIELD = "spec.profile"
DEADLINE_FIELD = "spec.activeDeadlineSeconds"


def permanent_failure(code: ErrorCode, message: str, field: str | None) -> Failure:
    """A failure that another attempt with the same spec cannot avoid. Messages repeat what users write, so they are truncated."""
    return Failure(code=code, message=truncate(message, MAX_MESSAGE_BYTES), field=field, retryable=False)


def missing_profile(name: str, config: OperatorConfig) -> Failure:
    """The object names a profile that the administrator has not configured."""
    configured = ", ".join(sorted(config.profiles))
    message = f"there is no profile {name!r}; the operator's configuration has: {configured}"
    return permanent_failure(ErrorCode.INPUT_VALIDATION, message, PROFILE_FIELD)


def profile_not_for(video: Video, profile_name: str) -> Failure:
    """The profile does not serve the object's namespace."""
    message = (
        f"the profile {profile_name!r} does not serve the namespace {video.namespace}: "
        "its namespaceSelector does not match the namespace's labels; name another profile"
    )
    return permanent_failure(ErrorCode.INPUT_VALIDATION, message, PROFILE_FIELD)


def chunk_exceeds_limit(
    effective: Effective, profile: Profile, namespace: Namespace, limit: int | None
) -> Failure | None:
    """One chunk needs more GPUs than may ever be used at once. It would wait forever.

    Args:
        effective: Effective values of the revision.
        profile: Its profile.
        namespace: Its namespace.
        limit: The bound of the cluster.
    """
    cost = job_cost(Stage.RENDER, effective, profile)
    bounds = {"the cluster": limit, "the namespace": namespace_limit(Stage.RENDER, profile, namespace)}
    for where, bound in bounds.items():
        if bound is not None and cost > bound:
            message = f"a chunk needs {cost} GPUs, and {where} may render with {bound} at the same time; use fewer"
            return permanent_failure(ErrorCode.INPUT_VALIDATION, message, "spec.render.gpusPerChunk")
    return None


def deadline_exceeded(spec: TalkingVideoSpec) -> Failure:
    """The video as a whole has run past its deadline."""
    code = ErrorCode.TIMEOUT
    message = (
        f"not finished within {spec.active_deadline_seconds} s; "
        f"raise the deadline, or retry with the annotation {ANNOTATION_RETRY}"
    )
    return Failure(code=code, message=message, field=DEADLINE_FIELD, retryable=ERRORS[code].retryable)


def condition_reason(failure: Failure, status: TalkingVideoStatus) -> Reason:
    """The reason that conditions give for a failure."""
    if failure.field == PROFILE_FIELD:
        return Reason.PROFILE_MISSING
    if failure.field == DEADLINE_FIELD:
        return Reason.DEADLINE_EXCEEDED
    if failure.code is ErrorCode.NOT_SUPPORTED:
        return Reason.NOT_SUPPORTED
    if failure.code is ErrorCode.INPUT_VALIDATION:
        return Reason.INVALID_INPUT if status.effective else Reason.NOT_ALLOWED
    return Reason.STAGE_FAILED


def failure_message(failure: Failure) -> str:
    """The failure in one line: code, field, message."""
    return ": ".join(filter(None, (failure.code.value, failure.field, failure.message)))
