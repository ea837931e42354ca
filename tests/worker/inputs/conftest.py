"""A real HTTPS server on this machine, with a certificate of its own."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.policy import FetchPolicy

NAMES = ("store.test", "other.test")
BODY = b"\x89PNG" + bytes(range(256)) * 40


@dataclass
class Site:
    """The server as tests see it."""

    port: int
    tls: ssl.SSLContext
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    failures_left: int = 0

    def url(self, path: str, host: str = "store.test") -> str:
        return f"https://{host}:{self.port}{path}"

    def resolver(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append(host)
        if host in NAMES:
            return ["127.0.0.1"]
        raise socket.gaierror(f"unknown name {host}")

    def fetcher(self, policy: FetchPolicy | None = None, **options: object) -> Fetcher:
        defaults: dict[str, object] = {"resolver": self.resolver, "tls": self.tls, "sleep": lambda seconds: None}
        return Fetcher(policy or FetchPolicy(open_hosts=NAMES, header_hosts=NAMES), **(defaults | options))  # type: ignore[arg-type]


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            site.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
            if path.startswith("/to/"):
                self._answer(302, b"", {"Location": self.path.partition("?")[2]})
            elif path.startswith("/status/"):
                self._answer(int(path.rpartition("/")[2]), b"no")
            elif path in pages:
                pages[path](self)
            else:
                self.close_connection = True

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def picture(self) -> None:
            self._answer(200, BODY)

        def empty(self) -> None:
            self._answer(200, b"")

        def flaky(self) -> None:
            if site.failures_left:
                site.failures_left -= 1
                self._answer(503, b"")
            else:
                self._answer(200, BODY)

        def short(self) -> None:
            """Announces more than it sends."""
            self._answer(200, BODY, {"Content-Length": str(len(BODY) + 10)})
            self.close_connection = True

        def zipped(self) -> None:
            self._answer(200, gzip.compress(BODY), {"Content-Encoding": "gzip"})

        def bomb(self) -> None:
            self._answer(200, gzip.compress(bytes(50_000_000)), {"Content-Encoding": "gzip"})

        def half_zipped(self) -> None:
            self._answer(200, gzip.compress(BODY)[:-20], {"Content-Encoding": "gzip"})

        def brotli(self) -> None:
            self._answer(200, BODY, {"Content-Encoding": "br"})

        def chunked_name(self) -> None:
            self._answer(200, BODY, {"Content-Encoding": "aws-chunked"})

        def loop(self) -> None:
            self._answer(302, b"", {"Location": "/loop"})

        def nowhere(self) -> None:
            self._answer(302, b"")

    pages: dict[str, Callable[[Handler], None]] = {
        "/picture": Handler.picture,
        "/empty": Handler.empty,
        "/flaky": Handler.flaky,
        "/short": Handler.short,
        "/zipped": Handler.zipped,
        "/bomb": Handler.bomb,
        "/half-zipped": Handler.half_zipped,
        "/brotli": Handler.brotli,
        "/aws-chunked": Handler.chunked_name,
        "/loop": Handler.loop,
        "/nowhere": Handler.nowhere,
    }
    return Handler


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for the test names, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    names = ",".join(f"DNS:{name}" for name in NAMES)
    subprocess.run(
        (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test "
            f"-addext subjectAltName={names} -keyout key.pem -out cert.pem"
        ).split(),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def site(certificate: tuple[Path, Path]) -> Iterator[Site]:
    certificate_file, key_file = certificate
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate_file, key_file)
    site = Site(0, ssl.create_default_context(cafile=certificate_file.as_posix()))
    server = _QuietServer(("127.0.0.1", 0), _handler(site))
    server.socket = serving.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what these tests are about."""
