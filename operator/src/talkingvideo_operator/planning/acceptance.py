"""Accepts a revision, at every step of its life: what its spec and profile allow now, and with which values.

Status is not trusted with it. Whoever may write status could otherwise choose the image that runs with the store's
credentials, or skip the checks.
"""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_api.conditions import Reason
from talkingvideo_api.effective import Effective, as_begun, resolve
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.profile import Profile
from talkingvideo_api.spec import Output
from talkingvideo_api.status import Failure, TalkingVideoStatus
from talkingvideo_api.support import unsupported, without_effect
from talkingvideo_clients.kube.objects import Job
from talkingvideo_operator.planning.context import ReconcileContext
from talkingvideo_operator.planning.decision import Event
from talkingvideo_operator.planning.failures import permanent_failure
from talkingvideo_operator.planning.locations import result_location
from talkingvideo_operator.planning.policy import refusals
from talkingvideo_operator.planning.retry import start_over


@dataclass(frozen=True)
class Accepted:
    """A revision that may be made.

    Attributes:
        status: With the effective values of spec and profile.
        result: URI of the result, without suffix.
        stale: Unfinished Jobs that were made with other values.
        events: Says that the video starts again from prepare, and why.
    """

    status: TalkingVideoStatus
    result: str
    stale: tuple[Job, ...] = ()
    events: tuple[Event, ...] = ()


def accept(context: ReconcileContext, status: TalkingVideoStatus, profile: Profile) -> Accepted | Failure:
    """Check what only the operator can check, and derive the effective values.

    Args:
        context: The video and the configuration.
        status: Of its current revision, which has not ended.
        profile: The profile that the spec names.
    """
    spec, video = context.spec, context.video
    profile = as_begun(profile, status.effective, spec.output or Output())
    if refusal := next(refusals(video, spec, profile, context.config.profiles.values()), None):
        return permanent_failure(ErrorCode.INPUT_VALIDATION, refusal.message, refusal.field)
    effective = resolve(spec, profile, profile_name=context.profile_name, uid=video.uid, revision=video.revision or "")
    if missing := next(iter(unsupported(spec, effective, profile)), None):
        return permanent_failure(ErrorCode.NOT_SUPPORTED, missing.message, missing.field)
    store = profile.stores[effective.store]
    result = str(result_location(video, spec.output or Output(), store, profile.allow))
    if status.effective == effective:
        return Accepted(status, result)
    fresh = {"effective": effective, "warnings": tuple(without_effect(spec, effective))}
    if not _has_begun(status):
        return Accepted(status.model_copy(update=fresh), result)
    jobs = context.children.of_revision(video.revision).jobs
    message = (
        f"the video is made again from prepare: {_difference(status.effective, effective)}; finished chunks are kept"
    )
    return Accepted(
        start_over(status, jobs).model_copy(update=fresh),
        result,
        stale=tuple(job for job in jobs if job.unfinished),
        events=(Event(Reason.RESTARTED, message, warning=True),),
    )


def _has_begun(status: TalkingVideoStatus) -> bool:
    """Whether anything was made with the values in status."""
    return bool(status.effective or status.plan_digest or status.stage_attempts)


def _difference(before: Effective | None, after: Effective) -> str:
    if before is None:
        return "status has no effective values that its plan was made with"
    names = [name for name in Effective.model_fields if getattr(before, name) != getattr(after, name)]
    fields = ", ".join(f"status.effective.{Effective.model_fields[name].alias}" for name in names)
    return f"profile and spec now give another {fields}"
