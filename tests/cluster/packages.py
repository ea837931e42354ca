"""Debian packages that the real node and image builds need."""

import os
import shutil
import subprocess

from tests.cluster.progress import timed
from tests.cluster.unavailable import UnavailableError

_PACKAGE_OF = {
    "runc": "runc",
    "containerd": "containerd",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "iptables": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "socat": "socat",
    "mount": "mount",
    "ip": "iproute2",
    "gcc": "gcc",
    "/usr/include/stdlib.h": "libc6-dev",
}
"""What must be found (a command, or a file by its path), and the package that has it."""


def ensure_packages() -> None:
    """Install what is missing, by apt.

    Raises:
        UnavailableError: This is not root, or apt failed.
    """
    missing = [package for wanted, package in _PACKAGE_OF.items() if shutil.which(wanted, os.F_OK) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnavailableError(f"a real node needs root and these packages: {' '.join(missing)}")
    with timed(f"installed {' '.join(missing)}"):
        _apt(["update", "-q"])
        _apt(["install", "-q", "-y", "--no-install-recommends", *missing])


def _apt(arguments: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, text=True)
    # "update" fails when any one list of many can't be had; the install then says whether it mattered.
    if done.returncode and arguments[0] == "install":
        raise UnavailableError(f"apt-get {' '.join(arguments)} failed: {done.stderr.strip()[-500:]}")
