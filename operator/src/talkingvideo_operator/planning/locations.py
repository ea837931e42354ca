"""Where a video's files lie."""

from __future__ import annotations

from talkingvideo_api.effective import DEFAULT_OUTPUT_NAME
from talkingvideo_api.profile import Store
from talkingvideo_api.spec import Output
from talkingvideo_api.uris import ObjectUri
from talkingvideo_clients.kube.objects import Video


def store_root(store: Store) -> ObjectUri:
    """Where a store begins."""
    if store.s3 is not None:
        return ObjectUri("s3", store.s3.bucket, store.s3.prefix.strip("/"))
    if store.pvc is not None:
        return ObjectUri("pvc", store.pvc.claim, store.pvc.path.strip("/"))
    raise ValueError("a store has exactly one kind")


def result_location(video: Video, output: Output, store: Store) -> ObjectUri:
    """Where the result lies, without suffix."""
    key = (output.name or DEFAULT_OUTPUT_NAME).format(
        namespace=video.namespace,
        name=video.name,
        revision=video.revision,
        date=video.created.date().isoformat(),
    )
    return _result_root(output, store).child(key)


def _result_root(output: Output, store: Store) -> ObjectUri:
    if output.pvc is not None:
        return ObjectUri("pvc", output.pvc.claim, (output.pvc.path or "").strip("/"))
    root = store_root(store)
    if output.s3 is None:
        return root
    prefix = root.path if output.s3.prefix is None else output.s3.prefix.strip("/")
    return ObjectUri("s3", output.s3.bucket or root.container, prefix)
