"""``list``: the videos of a namespace, or of all of them."""

from __future__ import annotations

from typing import Any

from talkingvideo_api.names import API_VERSION, KIND
from talkingvideo_cli.commands.session import Session
from talkingvideo_cli.printing import Format, age, columns, out, out_object, tell
from talkingvideo_cli.view import VideoView
from talkingvideo_clients.kube.api import VIDEOS

COLUMNS = ("NAME", "PHASE", "PROGRESS", "CHUNKS", "QUEUE", "AGE")


async def show_list(session: Session, namespace: str | None, selector: str, chosen: Format | None) -> None:
    """Print videos, the newest last.

    Args:
        session: The cluster.
        namespace: The namespace; all of them when None.
        selector: Selector of labels; empty for all.
        chosen: Format; a table when absent.
    """
    pages = [page async for page in session.api.pages(VIDEOS, namespace, selector)]
    items = sorted((item for page in pages for item in page["items"]), key=_created)
    if chosen:
        out_object({"apiVersion": API_VERSION, "kind": f"{KIND}List", "items": items}, chosen)
    elif not items:
        tell(f"there are no TalkingVideos in {f'the namespace {namespace}' if namespace else 'any namespace'}")
    else:
        head = COLUMNS if namespace else ("NAMESPACE", *COLUMNS)
        out(columns(head, (_row(VideoView.of(item), everywhere=namespace is None) for item in items)))


def _created(body: dict[str, Any]) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]


def _row(view: VideoView, *, everywhere: bool) -> list[str]:
    chunks = f"{view.done}/{len(view.chunks)}" if view.chunks else ""
    queue = "" if view.queue is None else str(view.queue)
    row = [view.name, view.phase, f"{view.percent}%", chunks, queue, age(view.created)]
    return [view.namespace, *row] if everywhere else row
