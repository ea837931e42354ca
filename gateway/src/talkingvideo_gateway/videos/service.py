"""What dialects call: submit, look, cancel, retry, delete. Every rule that is not about a wire format is here."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import ValidationError

from talkingvideo_api import names
from talkingvideo_api.errors import StageError
from talkingvideo_api.resource import parse
from talkingvideo_api.uris import scheme_of
from talkingvideo_gateway.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    QueueFullError,
    TooLargeError,
    UnprocessableError,
)
from talkingvideo_gateway.identity.caller import MEGABYTE, AllRights, Caller, Rights, Verb
from talkingvideo_gateway.videos.backend import Backend, FinishedParts, Health, MediaFile, VideoChange, no_parts
from talkingvideo_gateway.videos.object import RequestRecord, State, VideoObject
from talkingvideo_gateway.videos.ownership import require_own
from talkingvideo_gateway.videos.request import FILE_ID, UPLOAD_SCHEME, InputKind, Upload, VideoRequest, upload_uri

RETRY_AFTER_SECONDS = 30
MEBIBYTE = 1 << 20


class VideoService:
    """The gateway's rules, over whatever stands behind it.

    Args:
        backend: Objects and files.
        rights: What callers may do.
    """

    def __init__(self, backend: Backend, rights: Rights | None = None) -> None:
        self._rights = rights or AllRights()
        self._videos = backend.videos
        self._media = backend.media
        self._health = backend.health
        self._parts = backend.parts
        self._coming: Counter[tuple[str, str]] = Counter()

    async def submit(self, caller: Caller, request: VideoRequest) -> VideoObject:
        """Create a video. The same idempotency key returns the video that it made before.

        Raises:
            InvalidRequestError: The spec is wrong, with the field.
            TooLargeError: An upload exceeds the caller's limit.
            QueueFullError: The caller has too many unfinished videos.
            UnprocessableError: The idempotency key has been used for another request.
        """
        await self._rights.require(caller, Verb.CREATE)
        digests = await asyncio.to_thread(_file_digests, request)
        digest = _digest(request, digests)
        name = _name(caller, request)
        if request.idempotency_key and (known := await self._known(caller, name, digest)):
            return known
        self._check_uris(caller, request, await self._own_uris(caller, request))
        require_own(caller, request.spec)
        for upload in request.uploads.values():
            _check_size(caller, upload)
        stored = await self._stored_files(caller, request.spec)
        spec = _checked_spec(name, caller, request.spec, {*request.uploads, *request.files, *stored})
        try:
            async with self._place(caller):
                saved = {key: await self._save(caller, upload, digests[key]) for key, upload in request.uploads.items()}
                uris = {**request.files, **stored, **saved}
                document = _document(caller, request, name, digest, _replaced(spec, _by_placeholder(uris)))
                return await self._videos.create(caller.namespace, document)
        except AlreadyExistsError:
            if request.idempotency_key and (known := await self._known(caller, name, digest)):
                return known
            raise

    async def get(self, caller: Caller, name: str) -> VideoObject:
        """One of the caller's videos.

        Raises:
            NotFoundError: It has none of that name.
        """
        await self._rights.require(caller, Verb.GET)
        video = await self._videos.get(caller.namespace, name) if names.is_object_name(name) else None
        if video is None or not sees(caller, video):
            raise NotFoundError("There is no video of that id.")
        return video

    async def spec(self, caller: Caller, name: str) -> Mapping[str, Any]:
        """The whole spec of one of the caller's videos.

        Raises:
            NotFoundError: It has none of that name.
        """
        video = await self.get(caller, name)
        document = await self._videos.read(video.namespace, video.name)
        if document is None:
            raise NotFoundError("There is no video of that id.")
        spec: Mapping[str, Any] = document["spec"]
        return spec

    async def list(self, caller: Caller) -> Sequence[VideoObject]:
        """The caller's videos, the oldest first."""
        await self._rights.require(caller, Verb.LIST)
        return await self._videos.list(caller.namespace, None if caller.sees_namespace else caller.name)

    async def require_watch(self, caller: Caller) -> None:
        """Refuse whoever may not watch, before an answer begins that has no place for a refusal.

        Raises:
            ForbiddenError: The caller may not.
        """
        await self._rights.require(caller, Verb.WATCH)

    def watch(self, caller: Caller) -> AsyncIterator[VideoChange]:
        """Changes of the caller's videos from this call on."""
        return self._seen(caller, self._videos.watch(caller.namespace))

    async def wait(self, caller: Caller, name: str, seconds: float) -> VideoObject:
        """The video once it has ended, or as it stands after that time."""
        changes = self._videos.watch(caller.namespace)
        video = await self.get(caller, name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not video.state.ended:
                    change = await anext(changes)
                    if change.video.name == name:
                        video = await self.get(caller, name)
        return video

    async def cancel(self, caller: Caller, name: str) -> VideoObject:
        """End a video for good. One that has ended stays as it is."""
        video = await self.get(caller, name)
        if video.state.ended:
            return video
        await self._rights.require(caller, Verb.PATCH)
        return await self._videos.patch(caller.namespace, name, {"spec": {"cancel": True}})

    async def retry(self, caller: Caller, name: str) -> VideoObject:
        """Start a video again that has failed or was cancelled; its finished chunks are kept.

        Raises:
            ConflictError: It is in another state.
        """
        video = await self.get(caller, name)
        if video.state not in (State.FAILED, State.TIMED_OUT, State.CANCELLED):
            raise ConflictError(f"The video is {video.state.value.lower()}: only one that has failed can be retried.")
        await self._rights.require(caller, Verb.PATCH)
        annotations = {names.ANNOTATION_RETRY: secrets.token_hex(8)}
        patch = {"metadata": {"annotations": annotations}, "spec": {"cancel": None}}
        return await self._videos.patch(caller.namespace, name, patch)

    async def delete(self, caller: Caller, name: str) -> None:
        """Delete a video with its result."""
        video = await self.get(caller, name)
        await self._rights.require(caller, Verb.DELETE)
        if video.status.output is not None:
            output = video.status.output
            for uri in (output.uri, output.thumbnail_uri, output.report_uri):
                await self._media.delete(caller.namespace, uri)
        await self._videos.delete(caller.namespace, name)

    async def open_result(self, caller: Caller, name: str) -> MediaFile:
        """The finished video.

        Raises:
            NotFoundError: There is none (yet).
        """
        video = await self.get(caller, name)
        return await self._open(video, None if video.status.output is None else video.status.output.uri)

    async def open_thumbnail(self, caller: Caller, name: str) -> MediaFile:
        """The finished video's thumbnail, a JPEG file."""
        video = await self.get(caller, name)
        return await self._open(video, None if video.status.output is None else video.status.output.thumbnail_uri)

    @property
    def has_parts(self) -> bool:
        """Whether videos can be watched while they are being made."""
        return self._parts is not no_parts

    async def parts(self, caller: Caller, name: str) -> FinishedParts:
        """What is finished of a video that is being made.

        Raises:
            NotFoundError: Nothing can be seen yet, or of videos of this back end nothing can before they end.
        """
        video = await self.get(caller, name)
        parts = await self._parts(video)
        if parts is None:
            raise NotFoundError("Nothing of this video can be watched yet.")
        return parts

    async def result_link(self, video: VideoObject, seconds: int, file_name: str) -> str | None:
        """An address of the result for whoever has no credentials; None where only the gateway can serve it."""
        output = video.status.output
        return None if output is None else await self._media.link(video.namespace, output.uri, seconds, file_name)

    async def thumbnail_link(self, video: VideoObject, seconds: int, file_name: str) -> str | None:
        """An address of the result's thumbnail, likewise."""
        output = video.status.output
        return (
            None
            if output is None
            else await self._media.link(video.namespace, output.thumbnail_uri, seconds, file_name)
        )

    def health(self) -> Health:
        """How what stands behind is doing; never waits."""
        return self._health()

    async def _seen(self, caller: Caller, changes: AsyncIterator[VideoChange]) -> AsyncIterator[VideoChange]:
        await self._rights.require(caller, Verb.WATCH)
        async for change in changes:
            if sees(caller, change.video):
                yield change

    async def _open(self, video: VideoObject, uri: str | None) -> MediaFile:
        file = None if uri is None else await self._media.open(video.namespace, uri)
        if file is None:
            raise NotFoundError(f"The video is {video.state.value.lower()}: there is no file.")
        return file

    async def _known(self, caller: Caller, name: str, digest: str) -> VideoObject | None:
        video = await self._videos.get(caller.namespace, name)
        if video is None or not sees(caller, video):
            return None
        if video.request is None or video.request.digest != digest:
            raise UnprocessableError("The idempotency key belongs to another request; use a new one.")
        return video

    @asynccontextmanager
    async def _place(self, caller: Caller) -> AsyncIterator[None]:
        """A place in the caller's queue. Requests whose files are being stored have theirs already: they may come all at once.

        Raises:
            QueueFullError: There is none.
        """
        key = (caller.namespace, caller.name)
        before = self._coming[key]
        self._coming[key] += 1
        try:
            videos = await self._videos.list(caller.namespace, caller.name)
            unfinished = before + sum(not video.state.ended for video in videos)
            if unfinished >= caller.limits.unfinished:
                message = (
                    f"{unfinished} videos have not ended, and that is the limit. Wait for one to end, or cancel one."
                )
                raise QueueFullError(message, retry_after=RETRY_AFTER_SECONDS)
            yield
        finally:
            self._coming[key] -= 1
            if not self._coming[key]:
                del self._coming[key]

    async def _own_uris(self, caller: Caller, request: VideoRequest) -> frozenset[str]:
        """Inputs of the video that a request is based on: they were checked when it was made, or are not the gateway's."""
        if request.based_on is None:
            return frozenset()
        return frozenset(uri for _, uri in _uris(await self.spec(caller, request.based_on), "spec"))

    def _check_uris(self, caller: Caller, request: VideoRequest, own: frozenset[str]) -> None:
        for path, uri in _uris(request.spec, "spec"):
            scheme = scheme_of(uri)
            if scheme == UPLOAD_SCHEME:
                key = uri.removeprefix(f"{UPLOAD_SCHEME}://")
                if key not in {*request.uploads, *request.files} and not FILE_ID.fullmatch(key):
                    raise InvalidRequestError("The request has no such upload.", field=path)
            elif uri in own:
                continue
            elif scheme not in self._media.schemes:
                allowed = ", ".join(f"{each}:" for each in sorted(self._media.schemes))
                raise InvalidRequestError(f"Addresses here begin with {allowed}, or are uploads.", field=path)
            elif not self._media.may_name(caller, uri):
                raise InvalidRequestError("This address is not yours to name; upload the file instead.", field=path)

    async def _stored_files(self, caller: Caller, spec: Mapping[str, Any]) -> dict[str, str]:
        """URIs of the files that were uploaded before, by their ids."""
        found = {}
        for path, uri in _uris(spec, "spec"):
            key = uri.removeprefix(f"{UPLOAD_SCHEME}://")
            if key == uri or not (file_id := FILE_ID.fullmatch(key)):
                continue
            stored = await self._media.find(caller.namespace, caller.name, file_id[1])
            if stored is None:
                raise InvalidRequestError("There is no file of that id; upload it first.", field=path)
            kind = InputKind.SOUND if path.endswith(".audio.uri") else InputKind.PICTURE
            check_bytes(caller, kind, stored.file.bytes, path)
            found[key] = stored.uri
        return found

    async def _save(self, caller: Caller, upload: Upload, digest: str) -> str:
        upload.content.seek(0)
        return await self._media.save(caller.namespace, caller.name, digest, upload.content)


def sees(caller: Caller, video: VideoObject) -> bool:
    """Whether a video is the caller's to see."""
    return video.namespace == caller.namespace and (caller.sees_namespace or video.caller == caller.name)


def _name(caller: Caller, request: VideoRequest) -> str:
    if request.idempotency_key and not request.name:
        text = json.dumps([caller.name, request.dialect, request.idempotency_key])
        return f"v-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    return request.name or f"v-{secrets.token_hex(16)}"


def _digest(request: VideoRequest, digests: Mapping[str, str]) -> str:
    digest = hashlib.sha256(
        json.dumps([request.spec, request.options, request.files], sort_keys=True, default=str).encode()
    )
    for key, content in sorted(digests.items()):
        digest.update(f"{key}={content}".encode())
    return digest.hexdigest()


def _file_digests(request: VideoRequest) -> dict[str, str]:
    """Digest of each upload by its key. Reading takes a while: it is done once."""
    return {key: _file_digest(upload) for key, upload in request.uploads.items()}


def _file_digest(upload: Upload) -> str:
    digest = hashlib.sha256()
    upload.content.seek(0)
    while piece := upload.content.read(MEBIBYTE):
        digest.update(piece)
    return digest.hexdigest()


def _check_size(caller: Caller, upload: Upload) -> None:
    check_bytes(caller, upload.kind, upload.content.seek(0, os.SEEK_END), upload.field)


def check_bytes(caller: Caller, kind: InputKind, size: int, field: str) -> None:
    """Refuse a file that is too large for its caller, or empty."""
    limits = caller.limits
    megabytes = limits.picture_megabytes if kind is InputKind.PICTURE else limits.sound_megabytes
    if size > megabytes * MEGABYTE:
        raise TooLargeError(f"It has {size:,} bytes; at most {megabytes:g} MB are allowed.", field=field)
    if size == 0:
        raise InvalidRequestError("The file is empty.", field=field)


def _checked_spec(name: str, caller: Caller, spec: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The spec in the resource's own types, with placeholders for uploads: a form has texts for numbers."""
    document = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name, "namespace": caller.namespace},
        "spec": _replaced(spec, {upload_uri(key): _placeholder(key) for key in keys}),
    }
    try:
        return parse(document).spec.to_dict()
    except StageError as error:
        if isinstance(error.__cause__, ValidationError):
            raise InvalidRequestError.of(error.__cause__.errors(include_url=False)) from error
        raise InvalidRequestError(error.message, field=error.field) from error


def _placeholder(key: str) -> str:
    return f"data:,{UPLOAD_SCHEME}-{key}"


def _by_placeholder(uris: Mapping[str, str]) -> dict[str, str]:
    return {_placeholder(key): uri for key, uri in uris.items()}


def _document(caller: Caller, request: VideoRequest, name: str, digest: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    record = RequestRecord(
        dialect=request.dialect, digest=digest, options=dict(request.options), warnings=request.warnings
    )
    labels = {names.LABEL_CALLER: caller.name} | ({names.LABEL_BATCH: request.batch} if request.batch else {})
    given = caller.profile or request.profile
    profile = {} if given is None else {"profile": given}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": name,
            "namespace": caller.namespace,
            "labels": labels,
            "annotations": {names.ANNOTATION_REQUEST: record.to_json()},
        },
        "spec": {**spec, **profile},
    }


def _replaced(value: Any, texts: Mapping[str, str]) -> Any:
    """The value with other texts in place of some."""
    if isinstance(value, Mapping):
        return {key: _replaced(item, texts) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replaced(item, texts) for item in value]
    return texts.get(value, value) if isinstance(value, str) else value


def _uris(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every URI that the spec names, with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "uri" and isinstance(item, str):
                yield f"{path}.uri", item
            else:
                yield from _uris(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _uris(item, f"{path}[{index}]")
