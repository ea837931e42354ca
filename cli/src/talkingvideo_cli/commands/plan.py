"""``plan``: what rendering a video would take, found out by a dry run that is deleted afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from talkingvideo_cli.commands.creating import Media, create
from talkingvideo_cli.commands.session import Session
from talkingvideo_cli.display import display
from talkingvideo_cli.explanations import require_success
from talkingvideo_cli.following import ended
from talkingvideo_cli.manifest import Wish, dry_run_of
from talkingvideo_cli.printing import Format, columns, out, out_object, tell
from talkingvideo_cli.view import VideoView
from talkingvideo_clients.kube.api import VIDEOS


async def plan_existing(session: Session, name: str, chosen: Format | None, timeout: float | None) -> None:
    """Plan what an object would take if it were created now."""
    body = dry_run_of(await session.get(name))
    await _plan(session, await session.api.create(VIDEOS, session.namespace, body), chosen, timeout)


async def plan_new(session: Session, wish: Wish, media: Media, chosen: Format | None, timeout: float | None) -> None:
    """Plan what a picture and a sound would take."""
    await _plan(
        session,
        await create(session, replace(wish, settings=[*wish.settings, "spec.dryRun=true"]), media),
        chosen,
        timeout,
    )


async def _plan(session: Session, created: dict[str, Any], chosen: Format | None, timeout: float | None) -> None:
    metadata = created["metadata"]
    try:
        with display(sys.stderr) as shown:
            body = await ended(session.api, session.namespace, metadata["name"], shown.show, timeout)
    finally:
        await session.api.delete(VIDEOS, session.namespace, metadata["name"], metadata["uid"])
    view = VideoView.of(body)
    for warning in view.warnings:
        tell(f"warning: {warning}")
    require_success(view)
    if chosen:
        out_object(body, chosen)
    else:
        out("\n".join(_table(view)))


def _table(view: VideoView) -> Iterator[str]:
    rows = [[str(each.index), f"{each.seconds:.2f}", "in the store" if each.percent else ""] for each in view.chunks]
    yield columns(("CHUNK", "SECONDS", "FOUND"), rows)
    total = sum(each.seconds for each in view.chunks)
    yield f"{total:.2f} s of video in {len(view.chunks)} chunks, {view.reused} of them finished in the store"
    estimate = view.estimate
    if "windows" in estimate:
        yield f"windows to render: {estimate['windows']}"
    if "gpuSeconds" in estimate:
        yield f"GPU time: about {estimate['gpuSeconds']:.0f} s"
    if "cost" in estimate:
        yield f"cost: about {estimate['cost']:.2f}, in the currency of the profile's price"
