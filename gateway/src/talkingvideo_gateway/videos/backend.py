"""What stands behind the gateway: objects, and files. A cluster and this machine each have both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.videos.object import VideoObject


@dataclass(frozen=True, slots=True)
class VideoChange:
    """A video has changed, or is gone."""

    video: VideoObject
    """Its newest known state."""
    deleted: bool = False


class Videos(Protocol):
    """The objects. Reading costs the API server nothing: it is answered by a cache that a watch keeps."""

    async def create(self, namespace: str, document: dict[str, Any]) -> VideoObject:
        """Create an object.

        Raises:
            AlreadyExistsError: There is one of that name.
            InvalidRequestError: The API server refuses it, with the field.
            UnavailableError: Nothing answers.
        """
        ...

    async def get(self, namespace: str, name: str) -> VideoObject | None:
        """An object, if there is one. What this process has just written is known."""
        ...

    async def read(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The whole object, if there is one, read where it is kept: a cache may leave out much of the spec.

        Raises:
            UnavailableError: Nothing answers.
        """
        ...

    async def list(self, namespace: str, caller: str | None = None) -> Sequence[VideoObject]:
        """The objects of a namespace, or of one caller in it, the oldest first."""
        ...

    def watch(self, namespace: str) -> AsyncIterator[VideoChange]:
        """Changes from now on. A slow reader gets the newest state of each object, not every one."""
        ...

    async def patch(self, namespace: str, name: str, patch: dict[str, Any]) -> VideoObject:
        """Change an object by a JSON merge patch (RFC 7396).

        Raises:
            NotFoundError: There is none of that name.
        """
        ...

    async def delete(self, namespace: str, name: str) -> None:
        """Delete an object, its work and, with the machine's own engine, its files. None of that name is no error."""
        ...


@dataclass(frozen=True)
class MediaFile:
    """A file that can be sent.

    Attributes:
        bytes: Its size.
        etag: Changes with the content.
        read: ``read(start, stop)`` yields the bytes of that range in pieces of at most 1 MiB.
    """

    bytes: int
    etag: str
    read: MediaReader


class MediaReader(Protocol):
    """Reads a range of a file."""

    def __call__(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from start up to, not including, stop."""
        ...


@dataclass(frozen=True)
class StoredInput:
    """An input in the store.

    Attributes:
        uri: By which the namespace's videos may name it.
        file: Its content.
    """

    uri: str
    file: MediaFile


class Media(Protocol):
    """The files: inputs that callers upload, and results."""

    @property
    def schemes(self) -> frozenset[str]:
        """Schemes of URIs that callers may give; what they refer to is checked where it is fetched."""
        ...

    def may_name(self, caller: Caller, uri: str) -> bool:
        """Whether a caller may give a URI of one of these schemes: not one of another caller's files."""
        ...

    async def save(self, namespace: str, caller: str, name: str, content: BinaryIO) -> str:
        """Store an input, whole or not at all.

        Args:
            namespace: The caller's namespace.
            caller: Label value of the caller; two callers of one namespace share no folder.
            name: A file name, safe in a path.
            content: Its bytes, from the present position on.

        Returns:
            The URI by which the namespace's videos may name it.
        """
        ...

    async def find(self, namespace: str, caller: str, name: str) -> StoredInput | None:
        """An input that was stored under this name, if it is there."""
        ...

    async def names(self, namespace: str, caller: str, prefix: str) -> Sequence[str]:
        """Names of a caller's stored inputs that begin like this, in order."""
        ...

    async def forget(self, namespace: str, caller: str, name: str) -> None:
        """Delete a stored input. None of that name is no error."""
        ...

    async def open(self, namespace: str, uri: str) -> MediaFile | None:
        """Open a result of a namespace, if it is there and is that namespace's."""
        ...

    async def link(self, namespace: str, uri: str, seconds: int, file_name: str) -> str | None:
        """An address at which anybody can download a result for a while; None where only the gateway can serve it."""
        ...

    async def delete(self, namespace: str, uri: str) -> None:
        """Delete a file of a namespace. None of that name is no error."""
        ...


@dataclass(frozen=True)
class FinishedPart:
    """Frames of a video that is being made: a closed-GOP MP4 file without sound.

    Attributes:
        start_frame: Index of its first frame in the video.
        frames: How many.
        file: The file.
    """

    start_frame: int
    frames: int
    file: MediaFile


@dataclass(frozen=True)
class FinishedParts:
    """What there is of a video while it is being made.

    Attributes:
        frames: Frames of the whole video.
        sound: Its sound, an MP4 file with AAC.
        parts: In the order of the video; some may be missing between them.
    """

    frames: int
    sound: MediaFile
    parts: Sequence[FinishedPart]


class PartsOf(Protocol):
    """Finds the finished parts of a video that is being made."""

    async def __call__(self, video: VideoObject) -> FinishedParts | None:
        """The parts; None before there is a plan, and where parts cannot be read."""
        ...


async def no_parts(video: VideoObject) -> FinishedParts | None:  # noqa: ARG001
    """For back ends whose stores the gateway does not read."""
    return None


@dataclass(frozen=True, slots=True)
class Health:
    """How what stands behind the gateway is doing; known without asking it."""

    ready: bool
    """Whether new videos would be rendered."""
    engine: str
    """Engine of videos that name none; empty where unknown."""
    gpu: bool
    """Whether it renders on GPUs."""
    message: str = ""
    """Why it is not ready."""
    serving: bool = True
    """Whether requests can be answered at all, which they may be while nothing is rendered."""


@dataclass(frozen=True)
class Backend:
    """Objects, files and health, which belong together."""

    videos: Videos
    media: Media
    health: HealthCheck
    parts: PartsOf = no_parts


class HealthCheck(Protocol):
    """Knows the health."""

    def __call__(self) -> Health:
        """The health as it was known last; never waits."""
        ...
