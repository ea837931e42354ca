"""What a cache keeps of a TalkingVideo: a compressed document, and of a large object only an outline.

Authors decide how large an object is: it may hold recordings as ``data:`` URIs, and long texts. As parsed models, a few
thousand such objects would exceed the operator's memory limit, and it would never start again. So the size of a record has a
bound, whatever the object holds; whoever needs all of a large object reads it from the API server.
"""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from talkingvideo_api import names
from talkingvideo_api.reports import FailureReport
from talkingvideo_clients.kube.objects import Body, Video

MAX_DOCUMENT = 4_096
"""Bytes of a compressed document above which only an outline of the spec is kept."""

MAX_TEXT = 65_536
"""Characters of a document above which it is not compressed in order to find out: with large objects that takes more time than
everything else that is done with them at start."""

MAX_OUTLINE = 16_384
"""Bytes of a compressed document above which the status is not kept either. The statuses that the operator writes are
smaller."""

OUTLINED_FIELDS = (
    "profile",
    "priority",
    "queueName",
    "suspend",
    "cancel",
    "dryRun",
    "activeDeadlineSeconds",
    "ttlSecondsAfterFinished",
    "chunking",
)
"""Fields of the spec from which queues and clean-up are decided. All of them are short."""

NO_CONTENT = {"source": {"image": {"uri": "data:,"}}, "speech": {"speakers": [{"text": "-"}]}}
"""What stands for source and speech in an outline, where the model requires them."""


V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


class Record(Protocol[V_co]):
    """What a cache keeps of an object, and can parse."""

    @property
    def uid(self) -> str:
        """The object's uid."""

    @property
    def resource_version(self) -> int:
        """Of the state that is kept."""

    def video(self) -> V_co:
        """The projection of the object."""


class ParsedVideos(Generic[V]):
    """Keeps the videos parsed that are asked for again and again.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._videos: OrderedDict[tuple[str, int], V] = OrderedDict()

    def of(self, record: Record[V]) -> V:
        """The projection of a record."""
        key = (record.uid, record.resource_version)
        video = self._videos.pop(key, None) or record.video()
        self._videos[key] = video
        if len(self._videos) > self._most:
            self._videos.popitem(last=False)
        return video


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """A TalkingVideo as a cache keeps it."""

    uid: str
    namespace: str
    name: str
    resource_version: int
    document: bytes
    """The object's fields that `Video` reads, as compressed JSON."""
    revision: str | None
    """Of the complete spec."""
    invalid: FailureReport | None
    """Why the complete spec is invalid, if it is."""
    complete: bool
    """Whether the document has the complete spec and status."""

    @property
    def owner(self) -> str:
        """The uid under which an index holds it, as it holds its children."""
        return self.uid

    @classmethod
    def of(cls, body: Body) -> VideoRecord:
        """Record an object as the API returns it."""
        video = Video.of(body)
        document, complete = _document(body, video)
        return cls(
            uid=video.uid,
            namespace=video.namespace,
            name=video.name,
            resource_version=video.resource_version,
            document=document,
            revision=video.revision,
            invalid=video.invalid,
            complete=complete,
        )

    def video(self) -> Video:
        """The projection of the object; see `Video.complete`."""
        video = Video.of(unpacked(self.document))
        if self.complete:
            return video
        spec = None if self.invalid else video.spec
        return replace(video, spec=spec, revision=self.revision, invalid=self.invalid, complete=False)


def packed(document: Body) -> bytes:
    """A document as compressed JSON."""
    return zlib.compress(_text(document).encode())


def packed_within(limit: int, document: Body) -> bytes | None:
    """A document as compressed JSON, unless that exceeds a limit in bytes."""
    text = _text(document)
    compressed = zlib.compress(text.encode()) if len(text) <= MAX_TEXT else None
    return None if compressed is None or len(compressed) > limit else compressed


def unpacked(document: bytes) -> Body:
    """The document that `packed` has compressed."""
    content: Body = json.loads(zlib.decompress(document))
    return content


def outline(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a large spec."""
    return NO_CONTENT | {key: spec[key] for key in OUTLINED_FIELDS if key in spec}


def _document(body: Body, video: Video) -> tuple[bytes, bool]:
    """The smallest document that says enough, and whether it says everything."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    metadata = _metadata(body["metadata"], video)
    for limit, content, complete in ((MAX_DOCUMENT, spec, True), (MAX_OUTLINE, outline(spec), False)):
        document = packed_within(limit, {"metadata": metadata, "spec": content, "status": status})
        if document is not None:
            return document, complete
    return packed({"metadata": metadata, "spec": outline(spec), "status": {}}), False


def _metadata(metadata: Body, video: Video) -> dict[str, Any]:
    kept = ("uid", "namespace", "name", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")
    annotations = {} if video.retry is None else {"annotations": {names.ANNOTATION_RETRY: video.retry}}
    return {key: metadata[key] for key in kept if key in metadata} | annotations


def _text(document: Body) -> str:
    return json.dumps(document, separators=(",", ":"))
