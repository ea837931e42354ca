"""Uploads and results in the buckets of the profiles' stores."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import quote
from functools import partial
from typing import Any, BinaryIO, TypeVar

from talkingvideo_api.errors import StageError
from talkingvideo_api.keys import joined, key_problem, longest_above, may_read
from talkingvideo_api.uris import parse_object_uri, scheme_of
from talkingvideo_clients.stores.base import MissingFileError
from talkingvideo_clients.stores.presign import LONGEST_EXPIRY, presigned_url
from talkingvideo_clients.stores.s3 import S3Store, s3_client
from talkingvideo_gateway.cluster.settings import ClusterSettings, S3Settings
from talkingvideo_gateway.errors import NotFoundError, UnavailableError
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.videos.backend import MediaFile, StoredInput

UPLOADS = "uploads"
"""Folder of a namespace's folder with what callers have uploaded; each caller has a folder of its own in it."""

THREADS = 32
"""Requests to stores at the same time; each reads or writes one piece, or sends one upload."""

RETRY_AFTER_SECONDS = 5
SCHEMES = frozenset({"https", "s3", "pvc", "configmap", "data"})

SHA256 = re.compile("[0-9a-f]{64}")

T = TypeVar("T")


@dataclass(frozen=True)
class Bucket:
    """A store's bucket.

    Attributes:
        settings: What the administrator says of it.
        store: Its files, by key.
        signer: Client that signs links for clients' endpoint; None where links lead to the gateway.
    """

    settings: S3Settings
    store: S3Store
    signer: Any | None

    @classmethod
    def of(cls, settings: S3Settings) -> Bucket:
        """Connect to it; nothing is asked yet."""
        store = S3Store(s3_client(settings.connection(settings.endpoint)), settings.bucket, "")
        signer = s3_client(settings.connection(settings.link_endpoint)) if settings.link_endpoint else None
        return cls(settings, store, signer)


class S3Media:
    """Implements `Media`.

    A namespace's files lie in ``{prefix}/{namespace}/``, where the operator puts results and from where it allows inputs. No
    file outside of this folder is opened, linked to or deleted, whatever a status says.

    Args:
        settings: Stores, and what callers may name.
    """

    def __init__(self, settings: ClusterSettings) -> None:
        self._buckets = {name: Bucket.of(store.s3) for name, store in settings.stores.items()}
        self._uploads = self._buckets.get(settings.default_store)
        self._inputs = settings.inputs
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def schemes(self) -> frozenset[str]:
        """See `Media`."""
        return SCHEMES

    def may_name(self, caller: Caller, uri: str) -> bool:
        """See `Media`. Whoever has Kubernetes rights on the videos could name it in an object just as well."""
        if caller.sees_namespace or scheme_of(uri) in ("https", "data"):
            return True
        try:
            location = parse_object_uri(uri)
        except ValueError:
            return False
        if key_problem(location.path):
            return False
        allowed = (self._own_uploads(caller.namespace, caller.name), *self._inputs)
        return any(place and str(location).startswith(place) for place in allowed)

    async def save(self, namespace: str, caller: str, name: str, content: BinaryIO) -> str:
        """See `Media`."""
        store, key = self._upload(namespace, caller, name)
        await self._call(partial(store.put_stream, key, content, name if SHA256.fullmatch(name) else None))
        return store.uri(key)

    async def find(self, namespace: str, caller: str, name: str) -> StoredInput | None:
        """See `Media`."""
        store, key = self._upload(namespace, caller, name)
        file = await self._file(store, key)
        return None if file is None else StoredInput(store.uri(key), file)

    async def names(self, namespace: str, caller: str, prefix: str) -> Sequence[str]:
        """See `Media`."""
        store, key = self._upload(namespace, caller, prefix)
        folder = key.removesuffix(prefix)
        found = await self._call(lambda: [each.name for each in store.list(key)])
        return sorted(name.removeprefix(folder) for name in found)

    async def forget(self, namespace: str, caller: str, name: str) -> None:
        """See `Media`."""
        store, key = self._upload(namespace, caller, name)
        await self._call(partial(store.delete, key))

    async def open(self, namespace: str, uri: str) -> MediaFile | None:
        """See `Media`."""
        if (found := self._find(namespace, uri)) is None:
            return None
        bucket, key = found
        return await self._file(bucket.store, key)

    async def link(self, namespace: str, uri: str, seconds: int, file_name: str) -> str | None:
        """See `Media`."""
        found = self._find(namespace, uri)
        if found is None or (signer := found[0].signer) is None:
            return None
        bucket, key = found
        sign = partial(
            presigned_url,
            signer,
            bucket.settings.bucket,
            key,
            min(seconds, LONGEST_EXPIRY),
            content_disposition=f'inline; filename="{quote(file_name)}"',
            content_type=mimetypes.guess_type(file_name)[0],
        )
        return await self._call(sign)

    async def delete(self, namespace: str, uri: str) -> None:
        """See `Media`."""
        if (found := self._find(namespace, uri)) is not None:
            bucket, key = found
            await self._call(partial(bucket.store.delete, key))

    def _upload(self, namespace: str, caller: str, name: str) -> tuple[S3Store, str]:
        """The store of uploads, and the key of one."""
        if self._uploads is None:
            raise UnavailableError("Nothing can be uploaded here: the gateway has no store. Name https:// addresses.")
        folder = joined(self._uploads.settings.prefix, namespace, UPLOADS, caller or "-")
        return self._uploads.store, f"{folder}/{name}"

    async def _file(self, store: S3Store, key: str) -> MediaFile | None:
        info = await self._call(partial(store.stat, key))
        if info is None:
            return None
        return MediaFile(info.bytes, info.sha256 or f"{info.bytes:x}", partial(self._read, store, key))

    def _own_uploads(self, namespace: str, caller: str) -> str | None:
        if self._uploads is None:
            return None
        store, key = self._upload(namespace, caller, "")
        return store.uri(key)

    def _find(self, namespace: str, uri: str) -> tuple[Bucket, str] | None:
        """The bucket and the key of a file, if it lies in the namespace's folder.

        As for the operator, the innermost of the stores' prefixes decides whose folder a key is in.
        """
        try:
            location = parse_object_uri(uri)
        except ValueError:
            return None
        if location.scheme != "s3" or key_problem(location.path):
            return None
        buckets = {
            each.settings.prefix: each for each in self._buckets.values() if each.settings.bucket == location.container
        }
        innermost = longest_above(buckets, location.path)
        if innermost is None:
            return None
        own = f"{location.container}/{joined(innermost, namespace)}/"
        return (buckets[innermost], location.path) if may_read(location.container, location.path, (own,)) else None

    async def _read(self, store: S3Store, key: str, start: int, stop: int) -> AsyncIterator[bytes]:
        if start >= stop:
            return
        pieces = store.read_range(key, start, stop)
        try:
            while piece := await self._call(partial(next, pieces, b"")):
                yield piece
        finally:
            await self._call(pieces.close)

    async def _call(self, work: Callable[[], T]) -> T:
        """Call a store in a thread."""
        with _failures():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except MissingFileError as error:
        raise NotFoundError("The file is not in the store any more.") from error
    except StageError as error:
        raise UnavailableError(f"The store: {error.message}", retry_after=RETRY_AFTER_SECONDS) from error
