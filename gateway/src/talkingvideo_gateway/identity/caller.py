"""Callers, and how they are told apart."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
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


class Verb(StrEnum):
    """What somebody does with videos, in Kubernetes' words."""

    CREATE = "create"
    GET = "get"
    LIST = "list"
    WATCH = "watch"
    PATCH = "patch"
    DELETE = "delete"


@dataclass(frozen=True)
class KubernetesUser:
    """Whom a token belongs to, as a TokenReview says.

    Attributes:
        name: Such as ``system:serviceaccount:films:n8n``.
        uid: Empty where it has none.
        groups: Groups.
        extra: What else authorizers may look at.
    """

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def key(self) -> Hashable:
        """The same for users whom authorizers cannot tell apart."""
        return self.name, self.uid, self.groups, tuple(sorted(self.extra.items()))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request.

    Attributes:
        name: Label value of the caller; at most 63 characters. A caller sees the videos that have this label.
        namespace: Where its videos are.
        profile: Profile of its videos; the operator's default where None.
        limits: What it may have.
        sees_namespace: Whether it sees every video of the namespace, as whoever has Kubernetes rights on them does.
        user: The Kubernetes user, whose rights decide what it may do; None where that is decided already.
    """

    name: str
    namespace: str
    profile: str | None = None
    limits: CallerLimits = field(default_factory=CallerLimits)
    sees_namespace: bool = False
    user: KubernetesUser | None = None


class Authenticator(Protocol):
    """Tells callers apart."""

    async def authenticate(self, connection: HTTPConnection) -> Caller:
        """The caller of a request or a WebSocket.

        Raises:
            UnauthenticatedError: It has no credentials, or wrong ones.
            ForbiddenError: It is known, and has no right to videos.
        """
        ...


class Rights(Protocol):
    """Knows what callers may do."""

    async def require(self, caller: Caller, verb: Verb) -> None:
        """Do nothing if the caller may do it with videos of its namespace.

        Raises:
            ForbiddenError: It may not.
            UnavailableError: Whoever knows does not answer.
        """
        ...


class AllRights:
    """Every caller may do everything with its videos."""

    async def require(self, caller: Caller, verb: Verb) -> None:
        """See `Rights`."""
