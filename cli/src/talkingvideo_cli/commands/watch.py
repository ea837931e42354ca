"""``watch``: the progress of one video, until it has ended."""

from __future__ import annotations

import sys

from talkingvideo_cli.commands.session import Session
from talkingvideo_cli.display import display
from talkingvideo_cli.explanations import require_success
from talkingvideo_cli.following import ended
from talkingvideo_cli.printing import Format, out, out_object, tell
from talkingvideo_cli.view import VideoView


async def watch(session: Session, name: str, *, chosen: Format | None = None, timeout: float | None = None) -> None:
    """Show a video's progress; print where its result is.

    Args:
        session: The cluster.
        name: Name of the object.
        chosen: Format of the object that is printed at the end; progress then goes to stderr.
        timeout: Most seconds to wait; no limit when absent.

    Raises:
        CommandError: It has failed, was cancelled, or has not ended in time.
    """
    with display(sys.stderr if chosen else sys.stdout) as shown:
        body = await ended(session.api, session.namespace, name, shown.show, timeout)
    if chosen:
        out_object(body, chosen)
    view = VideoView.of(body)
    for warning in view.warnings:
        tell(f"warning: {warning}")
    require_success(view)
    if not chosen and view.output:
        out(str(view.output.get("url") or view.output.get("uri")))
