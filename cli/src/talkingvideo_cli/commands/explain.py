"""``explain``: why a video is in its state, and what to do about it."""

from __future__ import annotations

from talkingvideo_cli.commands.session import Session
from talkingvideo_cli.explanations import explain_video
from talkingvideo_cli.printing import out
from talkingvideo_cli.view import VideoView


async def explain_object(session: Session, name: str) -> None:
    """Print why a video is in its state."""
    out("\n".join(explain_video(VideoView.of(await session.get(name)))))
