"""Labels, owner references and selectors of a video's children."""

from __future__ import annotations

from typing import Any

from talkingvideo_api import names
from talkingvideo_clients.kube.objects import Video

Manifest = dict[str, Any]
"""A Kubernetes object, or a part of one, as JSON."""

CHILD_SELECTOR = f"{names.LABEL_MANAGED_BY}={names.OPERATOR_NAME},{names.LABEL_UID}"
"""Selects what the operator watches and deletes. The server filters, so that no other pods are read."""


def child_metadata(video: Video, name: str, labels: dict[str, str]) -> Manifest:
    """Metadata of a child.

    The owner reference makes the cluster delete the child with its video. ``blockOwnerDeletion`` is false: true needs
    a permission on the video's finalizers, and only matters to foreground deletion.
    """
    return {
        "name": name,
        "namespace": video.namespace,
        "labels": common_labels(video) | labels,
        "annotations": {names.ANNOTATION_OBJECT: video.name},
        "ownerReferences": [
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": video.name,
                "uid": video.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }


def common_labels(video: Video) -> dict[str, str]:
    """Labels of every child of one revision of a video."""
    return {
        names.LABEL_NAME: names.APP_NAME,
        names.LABEL_MANAGED_BY: names.OPERATOR_NAME,
        names.LABEL_UID: video.uid,
        names.LABEL_REVISION: video.revision or "",
    }


def children_selector(video: Video, keep_revision: str | None) -> str:
    """Selector of a video's children, except those of one revision."""
    selector = f"{names.LABEL_MANAGED_BY}={names.OPERATOR_NAME},{names.LABEL_UID}={video.uid}"
    return selector if keep_revision is None else f"{selector},{names.LABEL_REVISION}!={keep_revision}"


def children_of_revision_selector(video: Video) -> str:
    """Selector of a video's children of its current revision."""
    return f"{children_selector(video, None)},{names.LABEL_REVISION}={video.revision}"
