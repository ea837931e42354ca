"""Callers, and how they are told apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import HTTPConnection

from talkingvideo_api.model import Model

MEGABYTE = 1_000_000


class CallerLimits(Model):
    """What one caller may have."""

    picture_megabytes: float = 10
    """Largest picture, or video to dub."""
    sound_megabytes: float = 50
    """Largest recording."""
    queue: int = 20
    """Most videos that wait."""
    at_once: int = 3
    """Most videos that are being made."""

    @property
    def unfinished(self) -> int:
        """Most videos that have not ended."""
        return self.queue + self.at_once


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request.

    Attributes:
        name: Label value of the caller; at most 63 characters. A caller sees the videos that have this label.
        namespace: Where its videos are.
        profile: Profile of its videos; the operator's default where None.
        limits: What it may have.
        sees_namespace: Whether it sees every video of the namespace, as whoever has Kubernetes rights on them does.
    """

    name: str
    namespace: str
    profile: str | None = None
    limits: CallerLimits = field(default_factory=CallerLimits)
    sees_namespace: bool = False


class Authenticator(Protocol):
    """Tells callers apart."""

    async def authenticate(self, connection: HTTPConnection) -> Caller:
        """The caller of a request or a WebSocket.

        Raises:
            UnauthenticatedError: It has no credentials, or wrong ones.
            ForbiddenError: It is known, and has no right to videos.
        """
        ...
