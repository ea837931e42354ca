"""What a schema of ``input`` is: how it is read, and how its output is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from talkingvideo_gateway.dialects.runpod.schemas.fields import Fields
from talkingvideo_gateway.videos.object import VideoObject

DELIVERY = "delivery"
"""Option of a request: how its result is delivered."""


class Delivery(StrEnum):
    """How a result is delivered."""

    LINK = "link"
    """An address that works for a while."""
    INLINE = "inline"
    """Base64 in the answer."""
    VOLUME = "volume"
    """A path on a shared volume."""


@dataclass(frozen=True)
class Result:
    """A finished video as answers have it: exactly one of url, base64 and path is set.

    Attributes:
        url: Address of the video.
        base64: The mark that stands for the video itself; see `send_json_with_files`.
        path: Where the video is on a shared volume.
        thumbnail_url: Address of a picture of it.
    """

    url: str | None = None
    base64: str | None = None
    path: str | None = None
    thumbnail_url: str | None = None


@dataclass(frozen=True)
class Schema:
    """A schema of ``input``.

    Attributes:
        name: As requests record it.
        to_spec: The resource's spec for the fields of one video.
        output: Output of a finished video; the text is the job's id.
        failure: Output and error of one that has ended without a result; the text is the job's id.
    """

    name: str
    to_spec: Callable[[Fields], dict[str, Any]]
    output: Callable[[str, VideoObject, Result], Any]
    failure: Callable[[str, VideoObject], Failure]


@dataclass(frozen=True)
class Failure:
    """How a schema says that a video has failed.

    Attributes:
        error: The job's ``error``: a text, always.
        output: The job's ``output``; None where the schema has none.
    """

    error: str
    output: dict[str, Any] | None = None


def plain_failure(_job: str, video: VideoObject) -> Failure:
    """The message, as workers without a form of their own for errors give it."""
    return Failure(reason(video))


def reason(video: VideoObject) -> str:
    """Why a video has ended without a result."""
    failure = video.status.failure
    return f"The video is {video.state.value.lower()}." if failure is None else failure.message
