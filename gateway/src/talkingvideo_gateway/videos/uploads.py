"""Files that are uploaded in parts before a video names them.

Everything is in the store: a record of the upload, its parts, and at the end the file under its digest. So any replica can go on
with an upload, and a part that was sent twice is there once.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from pydantic import Field, StringConstraints, ValidationError

from talkingvideo_api.model import Model
from talkingvideo_gateway.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    QueueFullError,
    TooLargeError,
)
from talkingvideo_gateway.identity.caller import MEGABYTE, Caller, Rights, Verb
from talkingvideo_gateway.videos.backend import Media, StoredInput

LIFETIME_SECONDS = 24 * 3600
MAX_PARTS = 1_000
PIECE = 1 << 20

UPLOAD_ID = re.compile("upload_([0-9a-f]{32})")
PART_ID = re.compile("part_([0-9a-f]{4,24})")
NUMBERED = re.compile("part_[0-9]{4}")


class UploadRecord(Model):
    """What was announced, and what has become of it."""

    filename: Annotated[str, StringConstraints(max_length=255)]
    bytes: Annotated[int, Field(ge=1)]
    purpose: Annotated[str, StringConstraints(max_length=64)]
    created: int
    """Seconds since 1970."""
    digest: str | None = None
    """SHA-256 of the file, once it is complete."""


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A part that is in the store."""

    id: str
    bytes: int


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """An upload as it stands."""

    id: str
    record: UploadRecord
    parts: Sequence[UploadPart] = ()

    @property
    def expires(self) -> int:
        """When its parts are deleted, in seconds since 1970."""
        return self.record.created + LIFETIME_SECONDS


class Uploads:
    """Uploads of callers, which only they can see.

    Args:
        media: The store.
        rights: What callers may do: a file is for a video that one may create.
    """

    def __init__(self, media: Media, rights: Rights) -> None:
        self._media = media
        self._rights = rights

    async def create(self, caller: Caller, filename: str, size: int, purpose: str) -> PendingUpload:
        """Announce a file.

        Raises:
            TooLargeError: No video of the caller may have such a file.
            QueueFullError: The caller has too many unfinished uploads.
        """
        await self._rights.require(caller, Verb.CREATE)
        most = max(caller.limits.picture_megabytes, caller.limits.sound_megabytes)
        if size > most * MEGABYTE:
            raise TooLargeError(f"It has {size:,} bytes; at most {most:g} MB are allowed.", field="bytes")
        pending = await self._delete_expired(caller)
        if pending >= caller.limits.unfinished:
            raise QueueFullError(f"{pending} uploads are not complete, and that is the limit.", retry_after=60)
        record = UploadRecord(filename=filename, bytes=size, purpose=purpose, created=int(time.time()))
        key = secrets.token_hex(16)
        await self._write(caller, _record_name(key), record)
        return PendingUpload(f"upload_{key}", record)

    async def get(self, caller: Caller, upload_id: str) -> PendingUpload:
        """An upload with the parts that are there.

        Raises:
            NotFoundError: The caller has none of that id, or its time is over.
        """
        key = _key(upload_id)
        for name in (_done_name(key), _record_name(key)):
            record = await self._read(caller, name)
            if record is not None and record.created + LIFETIME_SECONDS > time.time():
                return PendingUpload(upload_id, record, await self._parts(caller, key))
        raise NotFoundError("There is no upload of that id.")

    async def add(self, caller: Caller, upload_id: str, number: int | None, content: BinaryIO, size: int) -> UploadPart:
        """Store a part. The same number again replaces it.

        Args:
            caller: The caller.
            upload_id: The upload.
            number: Its place, from 1; without one its id is made from its content.
            content: Its bytes, from the beginning on.
            size: How many.

        Raises:
            ConflictError: The upload is complete.
            TooLargeError: There are more bytes than were announced.
        """
        upload = await self.get(caller, upload_id)
        _check_pending(upload)
        digest = await asyncio.to_thread(_digest, content)
        part_id = f"part_{digest[:24]}" if number is None else f"part_{number:04d}"
        others = [part for part in upload.parts if part.id != part_id]
        if sum(part.bytes for part in others) + size > upload.record.bytes:
            raise TooLargeError(f"The upload was announced with {upload.record.bytes:,} bytes.", field="data")
        if len(others) >= MAX_PARTS:
            raise InvalidRequestError(f"An upload has at most {MAX_PARTS} parts.", field="data")
        name = _part_name(_key(upload_id), part_id)
        await self._media.forget(caller.namespace, caller.name, name)
        content.seek(0)
        await self._media.save(caller.namespace, caller.name, name, content)
        return UploadPart(part_id, size)

    async def complete(self, caller: Caller, upload_id: str, part_ids: Sequence[str] | None) -> PendingUpload:
        """Make the file. Done twice, the answer is the same.

        Args:
            caller: The caller.
            upload_id: The upload.
            part_ids: Its parts in order; all numbered ones where None.

        Raises:
            InvalidRequestError: A part is missing, or the bytes are not as many as were announced.
        """
        upload = await self.get(caller, upload_id)
        if upload.record.digest is not None:
            return upload
        key = _key(upload_id)
        parts = [await self._part(caller, key, part_id) for part_id in part_ids or _numbered(upload)]
        total = sum(part.file.bytes for part in parts)
        if total != upload.record.bytes:
            message = f"The parts have {total:,} bytes together; {upload.record.bytes:,} were announced."
            raise InvalidRequestError(message, field="part_ids")
        with tempfile.TemporaryFile() as content:
            async for piece in _joined(parts):
                await asyncio.to_thread(content.write, piece)
            digest = await asyncio.to_thread(_digest, content)
            content.seek(0)
            await self._media.save(caller.namespace, caller.name, digest, content)
        record = upload.record.model_copy(update={"digest": digest})
        await self._write(caller, _done_name(key), record)
        await self._forget(caller, [_record_name(key), *(_part_name(key, part.id) for part in upload.parts)])
        return PendingUpload(upload_id, record)

    async def cancel(self, caller: Caller, upload_id: str) -> PendingUpload:
        """Delete an upload that is not complete, with its parts.

        Raises:
            ConflictError: It is complete.
        """
        upload = await self.get(caller, upload_id)
        _check_pending(upload)
        key = _key(upload_id)
        await self._forget(caller, [_record_name(key), *(_part_name(key, part.id) for part in upload.parts)])
        return upload

    async def _delete_expired(self, caller: Caller) -> int:
        """Delete what nobody has completed in time; say how many others there are."""
        pending = 0
        for name in await self._media.names(caller.namespace, caller.name, "upload-"):
            if not name.endswith((".record", ".done")):
                continue
            record = await self._read(caller, name)
            if record is not None and record.created + LIFETIME_SECONDS > time.time():
                pending += name.endswith(".record")
            else:
                stem = name.rpartition(".")[0]
                await self._forget(caller, await self._media.names(caller.namespace, caller.name, stem))
        return pending

    async def _parts(self, caller: Caller, key: str) -> list[UploadPart]:
        prefix = _part_name(key, "part_")
        parts = []
        for name in await self._media.names(caller.namespace, caller.name, prefix):
            if stored := await self._media.find(caller.namespace, caller.name, name):
                parts.append(UploadPart(f"part_{name.removeprefix(prefix)}", stored.file.bytes))
        return parts

    async def _part(self, caller: Caller, key: str, part_id: str) -> StoredInput:
        stored = None
        if PART_ID.fullmatch(part_id):
            stored = await self._media.find(caller.namespace, caller.name, _part_name(key, part_id))
        if stored is None:
            raise InvalidRequestError(f"The upload has no part {part_id[:40]}.", field="part_ids")
        return stored

    async def _read(self, caller: Caller, name: str) -> UploadRecord | None:
        stored = await self._media.find(caller.namespace, caller.name, name)
        if stored is None:
            return None
        try:
            return UploadRecord.model_validate_json(b"".join([piece async for piece in _joined([stored])]))
        except ValidationError:
            return None

    async def _write(self, caller: Caller, name: str, record: UploadRecord) -> None:
        await self._media.save(caller.namespace, caller.name, name, io.BytesIO(record.to_json().encode()))

    async def _forget(self, caller: Caller, names: Sequence[str]) -> None:
        for name in names:
            await self._media.forget(caller.namespace, caller.name, name)


def _key(upload_id: str) -> str:
    found = UPLOAD_ID.fullmatch(upload_id)
    if found is None:
        raise NotFoundError("There is no upload of that id.")
    return found[1]


def _record_name(key: str) -> str:
    return f"upload-{key}.record"


def _done_name(key: str) -> str:
    return f"upload-{key}.done"


def _part_name(key: str, part_id: str) -> str:
    return f"upload-{key}.{part_id}"


def _check_pending(upload: PendingUpload) -> None:
    if upload.record.digest is not None:
        raise ConflictError("The upload is complete.")


def _numbered(upload: PendingUpload) -> list[str]:
    """All parts by their numbers, where each has one."""
    if unnumbered := [part.id for part in upload.parts if not NUMBERED.fullmatch(part.id)]:
        raise InvalidRequestError(f"Say the order of the parts: {unnumbered[0]} has no number.", field="part_ids")
    return sorted(part.id for part in upload.parts)


def _digest(content: BinaryIO) -> str:
    digest = hashlib.sha256()
    content.seek(0)
    while piece := content.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


async def _joined(parts: Sequence[StoredInput]) -> AsyncIterator[bytes]:
    for part in parts:
        async for piece in part.file.read(0, part.file.bytes):
            yield piece
