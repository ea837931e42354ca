"""Names: the API group, labels, annotations, and the objects that belong to a video."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

GROUP = "talkingvideo.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "TalkingVideo"
PLURAL = "talkingvideos"
SINGULAR = "talkingvideo"
SHORT_NAME = "tv"

DNS_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""RFC 1123, by which Kubernetes validates names; in regular expressions that CEL and Python read alike."""

MAX_OBJECT_NAME = 253
"""Characters of an object's name."""


def is_object_name(text: str) -> bool:
    """Whether a Kubernetes object may have this name."""
    return len(text) <= MAX_OBJECT_NAME and re.fullmatch(DNS_SUBDOMAIN, text) is not None


def object_name_of(text: str, limit: int) -> str:
    """What the name of an object may have of a text, such as the name of a file; ``video`` where that is nothing.

    Args:
        text: Any text.
        limit: Most characters.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:limit].rstrip("-") or "video"


LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_UID = f"{GROUP}/uid"
LABEL_REVISION = f"{GROUP}/revision"
LABEL_STAGE = f"{GROUP}/stage"
LABEL_CHUNK = f"{GROUP}/chunk"
LABEL_ATTEMPT = f"{GROUP}/attempt"

ANNOTATION_OBJECT = f"{GROUP}/object"
"""Name of the TalkingVideo on its children: too long for a label."""

ANNOTATION_RETRY = f"{GROUP}/retry"
"""A new value retries a revision that has failed or was cancelled. Finished chunks are kept."""

LABEL_CALLER = f"{GROUP}/caller"
"""On a TalkingVideo: who asked for it, where a gateway creates objects for others. A value has at most 63 characters, as
every label's. The operator does not read it."""

LABEL_BATCH = f"{GROUP}/batch"
"""On a TalkingVideo: the batch that it was requested with, by which it is listed and cancelled together with the others. The
operator does not read it."""

ANNOTATION_REQUEST = f"{GROUP}/request"
"""On a TalkingVideo: the caller's own id of the request, which need not have the form of a label. Whoever writes it bounds it:
all annotations of an object may have 256 KiB together. The operator does not read it."""

APP_NAME = "talkingvideo"
OPERATOR_NAME = "talkingvideo-operator"


class Stage(StrEnum):
    """The three stages of a video."""

    PREPARE = "prepare"
    RENDER = "render"
    STITCH = "stitch"


ANNOTATION_WEIGHT = f"{GROUP}/weight"
"""On a Namespace: its weight, when namespaces share what is scarce."""

ANNOTATION_MAX_PARALLEL = {
    Stage.PREPARE: f"{GROUP}/max-parallel-prepare",
    Stage.RENDER: f"{GROUP}/max-parallel",
    Stage.STITCH: f"{GROUP}/max-parallel-stitch",
}
"""On a Namespace: its bound on each stage."""


SHOWN_NAME = 38
"""Most characters of a video's name in the names of its children: all that attempts below 100 leave."""

MAX_LABEL = 63
"""Characters of a label's value: the Job controller labels pods with the Job's name."""


def _child_name(name: str, uid: str, revision: str, part: str) -> str:
    """The name of a video's child. What tells it from others is always whole; the video's own name is cut, for people to read.

    Dots are legal in the object's name, but not in a pod's hostname.
    """
    rest = f"-{uid[:8]}-{revision[:4]}-{part}"
    shown = name[: min(SHOWN_NAME, MAX_LABEL - len(rest))]
    return shown.replace(".", "-").rstrip("-") + rest


def stage_input_name(name: str, uid: str, revision: str, sha256: str) -> str:
    """Name of the ConfigMap with the revision's stage input.

    Args:
        name: The TalkingVideo's name.
        uid: Its uid.
        revision: Revision of its spec.
        sha256: Digest of the stage input, hexadecimal: a profile that changes makes another ConfigMap.

    Returns:
        At most 63 characters.
    """
    return _child_name(name, uid, revision, f"input-{sha256[:16]}")


def job_name(name: str, uid: str, revision: str, stage: Stage, attempt: int, chunk: int | None = None) -> str:
    """Name of a stage's Job: deterministic, so that creating it twice makes one.

    Args:
        name: The TalkingVideo's name.
        uid: Its uid. An object that is deleted and created again has different children.
        revision: Revision of its spec.
        stage: The stage.
        attempt: Counted from 0. A Job is never restarted; the next attempt is a new Job.
        chunk: Index of the chunk, for render.

    Returns:
        At most 63 characters.
    """
    part = f"r{chunk}" if stage is Stage.RENDER else stage.value
    return _child_name(name, uid, revision, f"{part}-{attempt}")
