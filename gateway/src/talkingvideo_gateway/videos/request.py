"""A request for a video, as a dialect hands it to the service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO

from pydantic import JsonValue

UPLOAD_SCHEME = "upload"
FILE_ID = re.compile("file_([0-9a-f]{64})")
"""Id of a file that was uploaded before the request: its SHA-256. Only its caller's folder is searched for it."""


class InputKind(StrEnum):
    """What a file is for; it decides its limit."""

    PICTURE = "picture"
    """A picture, or a video to dub."""
    SOUND = "sound"


@dataclass(frozen=True)
class Upload:
    """A file that came with a request.

    Attributes:
        kind: What it is for.
        content: Its bytes; can be read twice.
        field: The request's own name for it, for messages.
    """

    kind: InputKind
    content: BinaryIO
    field: str


@dataclass(frozen=True)
class VideoRequest:
    """What somebody asks for.

    Attributes:
        dialect: Name of the dialect, for its answers later on.
        spec: Fields of the resource, in camelCase. Where an upload belongs, its URI is ``upload://KEY``; where a file that was
            uploaded before, ``upload://file_SHA256``.
        uploads: The uploads by key.
        files: URIs of files on configured volumes by key; in the spec they are named as uploads are.
        name: Name of the object; made up where a dialect has no form of its own. With an idempotency key it is the same for
            the same key and caller.
        idempotency_key: Requests of one caller with the same key make one video.
        options: What answers depend on; see `RequestRecord.options`. The same request has the same options, whenever it comes:
            they are compared where an idempotency key is used again.
        warnings: What the dialect has changed or ignored.
        batch: Label value that the items of a batch share.
        based_on: Name of a video of the caller whose inputs the spec may name.
        profile: Profile that the administrator has given to what was called; a caller's own takes precedence.
    """

    dialect: str
    spec: Mapping[str, Any]
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    idempotency_key: str | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    batch: str | None = None
    based_on: str | None = None
    profile: str | None = None


def upload_uri(key: str) -> str:
    """The URI that stands for an upload in a request's spec."""
    return f"{UPLOAD_SCHEME}://{key}"
