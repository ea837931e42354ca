"""The cache of a cluster's videos: kept by watches and by this process's own writes, read by everybody who polls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from talkingvideo_clients.kube.index import Index
from talkingvideo_clients.kube.objects import Body
from talkingvideo_clients.kube.records import ParsedVideos
from talkingvideo_gateway.cluster.records import ObjectRecord
from talkingvideo_gateway.videos.backend import VideoChange
from talkingvideo_gateway.videos.changes import Changes
from talkingvideo_gateway.videos.object import VideoObject

PARSED_VIDEOS = 1_024
"""Videos that are kept parsed: those that somebody polls are asked for again and again."""

LISTED_AT_ONCE = 50
"""Videos of a long list that are parsed before other requests get their turn."""


class VideoCache:
    """Records of videos, and the changes of them.

    Attributes:
        records: The records, by namespace; filled by watches.
    """

    def __init__(self) -> None:
        self.records: Index[ObjectRecord] = Index(self._stored, self._removed)
        self._changes = Changes()
        self._parsed: ParsedVideos[VideoObject] = ParsedVideos(PARSED_VIDEOS)

    def get(self, namespace: str, name: str) -> VideoObject | None:
        """A video."""
        record = self.records.named(namespace, namespace, name)
        return None if record is None else self._parsed.of(record)

    async def list(self, namespace: str, caller: str | None) -> Sequence[VideoObject]:
        """The videos of a namespace, or of one caller in it, the oldest first."""
        records = [record for record in self.records.by_owner(namespace) if caller is None or record.caller == caller]
        videos = []
        for number, record in enumerate(sorted(records, key=lambda each: (each.created, each.name)), start=1):
            videos.append(self._parsed.of(record))
            if number % LISTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return videos

    def watch(self, namespace: str) -> AsyncIterator[VideoChange]:
        """Changes from now on."""
        return self._changes.watch(namespace)

    def written(self, body: Body) -> VideoObject:
        """Take over what a write of this process has produced, before a watch reports it."""
        record = ObjectRecord.of(body)
        self.records.update(record)
        return self.get(record.namespace, record.name) or record.video()

    def deleted(self, video: VideoObject) -> None:
        """Take over that this process has deleted a video."""
        record = self.records.named(video.namespace, video.namespace, video.name)
        if record is not None and record.uid == video.uid:
            self.records.delete(record)

    def _stored(self, record: ObjectRecord) -> None:
        if self._changes.watched(record.namespace):
            self._changes.publish(VideoChange(self._parsed.of(record)))

    def _removed(self, record: ObjectRecord) -> None:
        if self._changes.watched(record.namespace):
            self._changes.publish(VideoChange(self._parsed.of(record), deleted=True))
