"""An S3 server for the tests: versitygw on a folder. It checks signatures, as the in-process fakes do not."""

import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.cluster.binaries import binary
from tests.cluster.processes import Processes

_READY_SECONDS = 20


@dataclass(frozen=True)
class Credentials:
    """An access key and its secret."""

    access_key: str
    secret_key: str

    @classmethod
    def random(cls) -> "Credentials":
        """Make up new ones."""
        return cls(f"AK{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))


@dataclass(frozen=True)
class S3Server:
    """A running server: its ``endpoint`` URL, its folder of ``files`` (a bucket is a folder), and its owner's keys."""

    endpoint: str
    files: Path
    region: str
    owner: Credentials

    def client(self, credentials: Credentials | None = None) -> Any:
        """Return a boto3 client, the owner's by default."""
        used = credentials or self.owner
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=used.access_key,
            aws_secret_access_key=used.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def create_bucket(self, name: str) -> str:
        """Make a bucket that only its owner may use, and return its name."""
        self.client().create_bucket(Bucket=name)
        return name

    def add_user(self) -> Credentials:
        """Add a user who may use nothing until a bucket's policy names its access key."""
        user = Credentials.random()
        keys = ["--access", self.owner.access_key, "--secret", self.owner.secret_key]
        new = ["--access", user.access_key, "--secret", user.secret_key, "--role", "user"]
        command = [str(binary("versitygw")), "admin", *keys, "--endpoint-url", self.endpoint, "create-user", *new]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"versitygw admin create-user failed: {done.stderr.strip()}")
        return user


@contextmanager
def running_s3_server(state: Path, address: str = "127.0.0.1") -> Iterator[S3Server]:
    """Start a server on a free port of ``address`` with new keys, and stop it afterwards.

    Args:
        state: An empty folder for objects, users and the log.
        address: Loopback, or one that pods of the real node can reach.

    Raises:
        UnavailableError: The program is missing and can't be built here.
    """
    files, users = state / "files", state / "users"
    files.mkdir()
    users.mkdir()
    port = _free_port(address)
    owner, region = Credentials.random(), "us-east-1"
    processes = Processes(state / "logs")
    try:
        processes.start(
            "versitygw",
            [
                binary("versitygw"),
                "--port",
                f"{address}:{port}",
                "--region",
                region,
                "--iam-dir",
                users,
                "posix",
                files,
            ],
            {"ROOT_ACCESS_KEY": owner.access_key, "ROOT_SECRET_KEY": owner.secret_key},
        )
        processes.wait_until("S3 server", lambda: _accepts(address, port), _READY_SECONDS)
        yield S3Server(f"http://{address}:{port}", files, region, owner)
    finally:
        processes.stop_all()


def _accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
