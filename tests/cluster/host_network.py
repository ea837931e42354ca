"""An address of this machine that pods can reach: they have no use for its loopback's 127.0.0.1."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

HOST_ADDRESS = "10.200.0.1"
"""Put on the loopback interface: reachable from this machine and its pods, offered to no other machine."""


@contextmanager
def host_address() -> Iterator[str]:
    """Have ``HOST_ADDRESS`` while the block runs."""
    remove_host_address()
    subprocess.run(["ip", "address", "add", f"{HOST_ADDRESS}/32", "dev", "lo"], check=True)
    try:
        yield HOST_ADDRESS
    finally:
        remove_host_address()


def remove_host_address() -> None:
    """Remove the address if it is there."""
    subprocess.run(["ip", "address", "del", f"{HOST_ADDRESS}/32", "dev", "lo"], capture_output=True)
