"""The objects of this machine: in memory for reading, in the database for keeps, and as changes for watchers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.local.database import Database, Document
from talkingvideo_gateway.videos.backend import VideoChange
from talkingvideo_gateway.videos.changes import Changes
from talkingvideo_gateway.videos.merge import merge_patch
from talkingvideo_gateway.videos.object import VideoObject

Key = tuple[str, str]


class LocalVideos:
    """Implements `Videos`.

    Args:
        database: Where they are kept.

    Attributes:
        written: Set by each write but that of a status.
    """

    def __init__(self, database: Database) -> None:
        self.written = asyncio.Event()
        self._database = database
        self._changes = Changes()
        self._documents: dict[Key, Document] = {}
        self._objects: dict[Key, VideoObject] = {}
        for document in database.all():
            self._remember(document)

    async def create(self, namespace: str, document: dict[str, Any]) -> VideoObject:
        """See `Videos`."""
        metadata = {
            **document["metadata"],
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "generation": 1,
        }
        video = self._stored(self._database.create({**document, "metadata": metadata}))
        self.written.set()
        return self._objects[namespace, video.name]

    async def get(self, namespace: str, name: str) -> VideoObject | None:
        """See `Videos`."""
        return self._objects.get((namespace, name))

    async def read(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """See `Videos`."""
        return self._documents.get((namespace, name))

    async def list(self, namespace: str, caller: str | None = None) -> Sequence[VideoObject]:
        """See `Videos`."""
        own = (video for (where, _), video in self._objects.items() if where == namespace)
        return [video for video in own if caller is None or video.caller == caller]

    def watch(self, namespace: str) -> AsyncIterator[VideoChange]:
        """See `Videos`."""
        return self._changes.watch(namespace)

    async def patch(self, namespace: str, name: str, patch: dict[str, Any]) -> VideoObject:
        """See `Videos`."""
        document = self._documents.get((namespace, name))
        if document is None:
            raise NotFoundError("There is no video of that id.")
        self._stored(self._database.replace(merge_patch(document, patch)))
        self.written.set()
        return self._objects[namespace, name]

    async def delete(self, namespace: str, name: str) -> None:
        """See `Videos`."""
        video = self._objects.get((namespace, name))
        if video is not None:
            self._database.delete(namespace, name)
            del self._objects[namespace, name], self._documents[namespace, name]
            self._changes.publish(VideoChange(video, deleted=True))
            self.written.set()

    def all(self) -> Iterator[VideoObject]:
        """Every object, the oldest first."""
        return iter(tuple(self._objects.values()))

    def document(self, video: VideoObject) -> Document:
        """The whole object."""
        return self._documents[video.namespace, video.name]

    def set_status(self, key: Key, status: TalkingVideoStatus) -> None:
        """Write the status. Of an object that has been deleted there is none."""
        document = self._documents.get(key)
        if document is not None and status != self._objects[key].status:
            self._stored(self._database.replace({**document, "status": status.to_dict()}))

    def _stored(self, document: Document) -> VideoObject:
        video = self._remember(document)
        self._changes.publish(VideoChange(video))
        return video

    def _remember(self, document: Document) -> VideoObject:
        video = VideoObject.of(document)
        self._documents[video.namespace, video.name] = document
        self._objects[video.namespace, video.name] = video
        return video
