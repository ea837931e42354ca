"""``submit``: create a video, and perhaps watch it."""

from __future__ import annotations

from talkingvideo_cli.commands.creating import Media, create
from talkingvideo_cli.commands.session import Session
from talkingvideo_cli.commands.watch import watch
from talkingvideo_cli.manifest import Wish
from talkingvideo_cli.printing import Format, full_name, out_change, tell


async def submit(session: Session, wish: Wish, media: Media, chosen: Format | None) -> None:
    """Create the object that a wish describes, and print its name."""
    out_change(await create(session, wish, media), "created", chosen)


async def submit_and_watch(
    session: Session, wish: Wish, media: Media, chosen: Format | None, timeout: float | None
) -> None:
    """Create the object, and show its progress until it has ended."""
    created = await create(session, wish, media)
    tell(f"{full_name(created)} created")
    await watch(session, created["metadata"]["name"], chosen=chosen, timeout=timeout)
