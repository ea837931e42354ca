"""A server that says byte by byte what a test lets it say."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.policy import FetchPolicy

from .conftest import NAMES


@dataclass(frozen=True)
class Connection:
    """A client's connection.

    Attributes:
        stream: The socket, behind TLS where the server speaks it.
        head: The head of the request; empty where the server does not read it.
        over: Set when the test ends.
    """

    stream: socket.socket
    head: bytes
    over: threading.Event

    @property
    def path(self) -> str:
        """What the request asks for."""
        return self.head.split(b" ")[1].decode() if self.head else ""

    def send(self, content: bytes) -> None:
        """Send everything."""
        self.stream.sendall(content)

    def send_endlessly(self, piece: bytes, pause: float = 0) -> None:
        """Send a piece again and again, until the client hangs up or the test ends."""
        while not self.over.wait(pause):
            self.stream.sendall(piece)

    def hold(self) -> None:
        """Say nothing, and do not hang up."""
        self.over.wait()

    def reset(self) -> None:
        """Break the connection off as a machine does that lost its power and came back: without goodbye."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()


Behaviour = Callable[[Connection], None]


@dataclass
class RawServer:
    """A server as tests see it.

    Attributes:
        port: On 127.0.0.1.
        trusted: The certificate that its clients trust.
        paths: What was requested.
    """

    port: int
    trusted: Path
    paths: list[str] = field(default_factory=list)

    def url(self, path: str, host: str = "store.test") -> str:
        """An address on this server."""
        return f"https://{host}:{self.port}{path}"

    def fetcher(self, policy: FetchPolicy) -> Fetcher:
        """A fetcher for which the test names are on this machine, and which waits for nothing between attempts."""
        known = {name: ["127.0.0.1"] for name in NAMES}
        tls = ssl.create_default_context(cafile=self.trusted.as_posix())
        return Fetcher(policy, resolver=lambda host, port: known[host], tls=tls, sleep=lambda seconds: None)


@contextmanager
def serving(behaviour: Behaviour, trusted: Path, tls: ssl.SSLContext | None) -> Iterator[RawServer]:
    """Serve every connection by a behaviour.

    Args:
        behaviour: What is said to a client; the connection is closed afterwards.
        trusted: The certificate that clients trust.
        tls: The server's side of TLS; without it the behaviour gets the bare connection, and no request is read.
    """
    listener, over = socket.create_server(("127.0.0.1", 0)), threading.Event()
    server = RawServer(listener.getsockname()[1], trusted)

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), plain if tls is None else tls.wrap_socket(plain, server_side=True) as stream:
            connection = Connection(stream, b"" if tls is None else _head(stream), over)
            server.paths.append(connection.path)
            behaviour(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()


def _head(stream: socket.socket) -> bytes:
    """Read a request up to the end of its head."""
    head = b""
    while b"\r\n\r\n" not in head and (piece := stream.recv(4_096)):
        head += piece
    return head


def serving_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """The server's side of TLS with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def expired_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the test names that ended yesterday, and its key."""
    certificate, key, request = folder / "expired.pem", folder / "expired-key.pem", folder / "request.pem"
    names = ",".join(f"DNS:{name}" for name in NAMES)
    _openssl(
        f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test -addext subjectAltName={names} "
        f"-keyout {key} -out {request}"
    )
    _openssl(f"x509 -req -in {request} -signkey {key} -days -1 -copy_extensions copy -out {certificate}")
    return certificate, key


def _openssl(arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], check=True, capture_output=True)
