"""``cancel`` and ``retry``: one field or annotation of an object."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from talkingvideo_api.names import ANNOTATION_RETRY
from talkingvideo_cli.commands.session import Session
from talkingvideo_cli.commands.watch import watch
from talkingvideo_cli.exits import CommandError, ExitStatus
from talkingvideo_cli.printing import Format, full_name, out_change, tell
from talkingvideo_cli.view import Outcome, VideoView
from talkingvideo_clients.kube.api import VIDEOS

TRIED_AGAIN = "is tried again"


async def cancel(session: Session, name: str, chosen: Format | None) -> None:
    """Cancel a video: its work ends for good, and finished chunks are kept.

    Raises:
        CommandError: It has ended already.
    """
    view = VideoView.of(await session.get(name))
    if view.outcome in (Outcome.SUCCEEDED, Outcome.FAILED):
        raise CommandError(ExitStatus.FAILED, f"{name} has {view.phase.lower()} already: there is nothing to cancel")
    changed = await session.api.merge_patch(VIDEOS, session.namespace, name, {"spec": {"cancel": True}})
    out_change(changed, "cancelled", chosen)


async def retry(session: Session, name: str, chosen: Format | None) -> None:
    """Try a video again that has failed or was cancelled; finished chunks are kept.

    Raises:
        CommandError: It has not failed and was not cancelled.
    """
    out_change(await _request_retry(session, name), TRIED_AGAIN, chosen)


async def retry_and_watch(session: Session, name: str, chosen: Format | None, timeout: float | None) -> None:
    """Try it again, and show its progress until it has ended."""
    tell(f"{full_name(await _request_retry(session, name))} {TRIED_AGAIN}")
    await watch(session, name, chosen=chosen, timeout=timeout)


async def _request_retry(session: Session, name: str) -> dict[str, Any]:
    view = VideoView.of(await session.get(name))
    if view.outcome not in (Outcome.FAILED, Outcome.CANCELLED):
        message = f"{name} is {view.phase}: only what has failed or was cancelled can be tried again"
        raise CommandError(ExitStatus.FAILED, message)
    now = datetime.now(UTC).isoformat()
    change = {"metadata": {"annotations": {ANNOTATION_RETRY: now}}, "spec": {"cancel": None}}
    return await session.api.merge_patch(VIDEOS, session.namespace, name, change)
