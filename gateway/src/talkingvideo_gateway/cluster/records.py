"""What the cache keeps of a TalkingVideo: bounded, whatever its author has written into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from talkingvideo_api import names
from talkingvideo_api.uris import scheme_of
from talkingvideo_clients.kube.objects import Body
from talkingvideo_clients.kube.records import MAX_OUTLINE, outline, packed, packed_within, unpacked
from talkingvideo_gateway.videos.object import VideoObject

MAX_DOCUMENT = 8_192
"""Bytes of a compressed document above which only an outline of the spec is kept."""

MAX_REQUEST = 32_768
"""Characters of the request's record; a longer one was not written by a gateway."""

NO_DATA = "data:,"
"""What stands for a ``data:`` URI, which may have 180 kB."""

KEPT = ("uid", "namespace", "name", "resourceVersion", "creationTimestamp", "deletionTimestamp")
LABELS = (names.LABEL_CALLER, names.LABEL_BATCH)
ANNOTATIONS = {names.ANNOTATION_REQUEST: MAX_REQUEST, names.ANNOTATION_RETRY: 128}


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """A TalkingVideo as the cache keeps it."""

    uid: str
    namespace: str
    name: str
    resource_version: int
    created: datetime
    caller: str
    document: bytes
    """The object's fields that `VideoObject` reads, as compressed JSON."""
    complete: bool
    """See `VideoObject.complete`."""

    @property
    def owner(self) -> str:
        """The namespace, under which an index holds it: videos are listed by namespace."""
        return self.namespace

    @classmethod
    def of(cls, body: Body) -> ObjectRecord:
        """Record an object as the API server returns it."""
        video = VideoObject.of(body)
        document, complete = _document(body)
        return cls(
            uid=video.uid,
            namespace=video.namespace,
            name=video.name,
            resource_version=video.resource_version,
            created=video.created,
            caller=video.caller,
            document=document,
            complete=complete,
        )

    def video(self) -> VideoObject:
        """The object."""
        return replace(VideoObject.of(unpacked(self.document)), complete=self.complete)


def _document(body: Body) -> tuple[bytes, bool]:
    metadata, spec, status = _metadata(body["metadata"]), body.get("spec") or {}, body.get("status") or {}
    short = _without_data(spec)
    for limit, content in ((MAX_DOCUMENT, short), (MAX_OUTLINE, outline(short))):
        document = packed_within(limit, {"metadata": metadata, "spec": content, "status": status})
        if document is not None:
            return document, content == spec
    return packed({"metadata": metadata, "spec": outline(short), "status": {}}), False


def _metadata(metadata: Body) -> Body:
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return {key: metadata[key] for key in KEPT if key in metadata} | {
        "labels": {key: labels[key] for key in LABELS if key in labels},
        "annotations": {
            key: annotations[key]
            for key, limit in ANNOTATIONS.items()
            if key in annotations and len(annotations[key]) <= limit
        },
    }


def _without_data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: NO_DATA if _is_data(key, item) else _without_data(item) for key, item in value.items()}
    return [_without_data(item) for item in value] if isinstance(value, list) else value


def _is_data(key: str, value: Any) -> bool:
    return key == "uri" and isinstance(value, str) and scheme_of(value) == "data"
