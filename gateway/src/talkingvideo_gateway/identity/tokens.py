"""Static tokens: a folder with a file for each caller, such as a mounted Secret."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
import yaml
from pydantic import ValidationError

from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.identity.labels import label_of
from talkingvideo_gateway.identity.settings import TokenFile

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
"""How often the folder is looked at for changes."""

MAX_FILE = 65_536


@dataclass(frozen=True)
class _Known:
    digest: bytes
    caller: Caller


class StaticTokens:
    """Knows callers by their tokens, of which it keeps digests. A changed folder is read again without a restart.

    Args:
        folder: The folder.
        default: Namespace, profile and limits of callers whose file does not say.
        namespaces: Namespaces that callers may have; all if empty.
        clock: Seconds, monotonic.

    Raises:
        InvalidRequestError: A file cannot be used. Later on, such a file is logged, and its caller is unknown.
    """

    def __init__(
        self,
        folder: Path,
        default: Caller,
        namespaces: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._default = default
        self._namespaces = namespaces
        self._clock = clock
        self._signature = _signature(folder)
        self._looked = clock()
        self._known = tuple(self._read(file) for file in _files(folder))

    async def by_key(self, key: str) -> Caller | None:
        """The caller whose token it is."""
        self._look()
        digest = hashlib.sha256(key.encode()).digest()
        found = None
        for known in self._known:  # all of them: the time says nothing about which one it was
            if hmac.compare_digest(known.digest, digest):
                found = known.caller
        return found

    def _look(self) -> None:
        if self._clock() - self._looked < LOOK_SECONDS:
            return
        self._looked = self._clock()
        try:
            signature = _signature(self._folder)
        except InvalidRequestError as error:
            log.error("the tokens cannot be read", reason=str(error))
            return
        if signature != self._signature:
            self._signature = signature
            self._known = tuple(self._read_again())
            log.info("the tokens have changed", callers=len(self._known))

    def _read_again(self) -> Iterator[_Known]:
        for file in _files(self._folder):
            try:
                yield self._read(file)
            except InvalidRequestError as error:
                log.error("a caller's file cannot be used", reason=str(error))

    def _read(self, file: Path) -> _Known:
        content = _parse(file)
        namespace = content.namespace or self._default.namespace
        if self._namespaces and namespace not in self._namespaces:
            raise InvalidRequestError(f"{file}: the gateway does not serve {namespace}", field="namespace")
        digest = bytes.fromhex(content.token_sha256) if content.token_sha256 else _sha256(content.token or "")
        caller = Caller(
            name=label_of(file.name),
            namespace=namespace,
            profile=content.profile or self._default.profile,
            limits=content.limits or self._default.limits,
            sees_namespace=content.sees_namespace,
        )
        return _Known(digest, caller)


def _files(folder: Path) -> list[Path]:
    """The callers' files; the kubelet's own folders in a Secret's begin with a dot."""
    return sorted(file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file())


def _signature(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes when a file does."""
    try:
        found = [(file.name, file.stat()) for file in _files(folder)]
    except OSError as error:
        raise InvalidRequestError(
            f"{folder} cannot be read: {error.strerror}", field="authentication.tokens"
        ) from error
    return tuple((name, status.st_mtime_ns, status.st_ino) for name, status in found)


def _parse(file: Path) -> TokenFile:
    try:
        text = file.read_bytes()[: MAX_FILE + 1].decode("utf-8")
        content = yaml.safe_load(text) if len(text) <= MAX_FILE else None
        document = content if isinstance(content, dict) else {"token": text.strip()}
        return TokenFile.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        raise InvalidRequestError(f"{file}: {first['msg']}", field=field) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        # The error's own text may quote the token.
        raise InvalidRequestError(f"{file} is neither a token nor YAML ({type(error).__name__})") from None


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
