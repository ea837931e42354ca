"""Pages of a list that changes while it is read.

A page begins after a place, not after a number of videos: what is made or deleted meanwhile moves nothing. A place is when a video
was made and its name, so that it is known when the video is gone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from talkingvideo_gateway.dialects.videos.ids import id_of, name_of
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.videos.object import VideoObject

Order = Literal["asc", "desc"]

CURSOR = re.compile(r"([^~]{1,300})~([0-9]{1,12})", re.ASCII)


@dataclass(frozen=True)
class Page:
    """Videos of a page, and whether there are more after it."""

    videos: Sequence[VideoObject]
    has_more: bool


def page(videos: Sequence[VideoObject], after: str | None, limit: int, order: Order) -> Page:
    """The videos after a cursor, or after a video's id.

    Raises:
        InvalidRequestError: There is no video of that id.
    """
    ordered = sorted(videos, key=_place, reverse=order == "desc")
    if after is not None:
        begin = _begin(videos, after)
        ordered = [video for video in ordered if (_place(video) > begin if order == "asc" else _place(video) < begin)]
    return Page(ordered[:limit], len(ordered) > limit)


def cursor_of(video: VideoObject) -> str:
    """The place after a video."""
    return f"{id_of(video.name)}~{_place(video)[0]}"


def _place(video: VideoObject) -> tuple[int, str]:
    return int(video.created.timestamp()), video.name


def _begin(videos: Sequence[VideoObject], after: str) -> tuple[int, str]:
    if found := CURSOR.fullmatch(after):
        return int(found[2]), name_of(found[1])
    name = name_of(after)
    known = next((video for video in videos if video.name == name), None)
    if known is None:
        raise InvalidRequestError("There is no video of that id; last_id of a page works in any case.", field="after")
    return _place(known)
