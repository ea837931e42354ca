"""A Hugging Face hub of one's own: repositories in memory, over real HTTP, with ranges, checksums and failures."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "c0ffee" + "0" * 34
LARGE = (".safetensors", ".pth", ".pt")
"""Endings of files that the hub keeps as LFS."""


@dataclass
class FakeHub:
    """What the hub has, and how it behaves.

    Attributes:
        endpoint: Its address.
        repositories: Contents by (repository, revision) and name.
        gated: Repositories that ask for a token.
        break_after: The next download ends after so many bytes.
        falsify: Names whose content comes changed.
        asked: (repository, revision) of every question for what a repository has.
        served: (name, first byte) of every download.
    """

    endpoint: str = ""
    repositories: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    break_after: int | None = None
    falsify: set[str] = field(default_factory=set)
    served: list[tuple[str, int]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def files(self, repository: str, revision: str) -> dict[str, bytes] | None:
        """The files at a branch; at the commit, those of all branches together."""
        if revision != COMMIT:
            return self.repositories.get((repository, revision))
        known = [files for (name, _), files in self.repositories.items() if name == repository]
        return {name: content for files in reversed(known) for name, content in files.items()} or None

    def content(self, repository: str, name: str) -> bytes | None:
        for (known, _), files in self.repositories.items():
            if known == repository and name in files:
                return files[name]
        return None


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob_id(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._resolve(with_body=False)

        def do_GET(self) -> None:
            if self.path.startswith("/api/models/"):
                self._info()
            else:
                self._resolve(with_body=True)

        def _info(self) -> None:
            repository, _, rest = unquote(self.path).removeprefix("/api/models/").partition("/revision/")
            revision = rest.partition("?")[0]
            files = hub.files(repository, revision)
            hub.asked.append((repository, revision))
            if repository in hub.gated:
                return self._error(403, "GatedRepo")
            if files is None:
                return self._error(404, "RepoNotFound")
            siblings = [self._sibling(name, content) for name, content in files.items()]
            self._answer(json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode())
            return None

        def _sibling(self, name: str, content: bytes) -> dict[str, object]:
            entry: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": blob_id(content)}
            if name.endswith(LARGE):
                entry["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 130}
            return entry

        def _resolve(self, *, with_body: bool) -> None:
            repository, _, name = unquote(self.path).removeprefix("/").partition(f"/resolve/{COMMIT}/")
            content = hub.content(repository, name)
            if content is None:
                return self._error(404, "EntryNotFound")
            etag = sha256(content) if name.endswith(LARGE) else blob_id(content)
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if not with_body:
                self._answer(content, headers, body=False)
                return None
            first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            hub.served.append((name, first))
            if name in hub.falsify:
                content = bytes(len(content))
            part = content[first:]
            if first:
                headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            if hub.break_after is not None:
                cut, hub.break_after = hub.break_after, None
                self._answer(part, headers, cut=cut, status=206 if first else 200)
                return None
            self._answer(part, headers, status=206 if first else 200)
            return None

        def _answer(
            self,
            content: bytes,
            headers: dict[str, str] | None = None,
            *,
            body: bool = True,
            cut: int | None = None,
            status: int = 200,
        ) -> None:
            self.send_response(status)
            for key, value in (headers or {}).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content[:cut])
            if cut is not None:
                self.close_connection = True

        def _error(self, status: int, code: str) -> None:
            self._answer(b"{}", {"X-Error-Code": code, "X-Error-Message": code}, status=status)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
