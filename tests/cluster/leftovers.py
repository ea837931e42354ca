"""Undoing what a real node left on this machine, when it ended in order and when it was killed."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.cluster.binaries import CONTROL_PLANE, NODE
from tests.cluster.containerd import BRIDGE, Containerd
from tests.cluster.host_network import remove_host_address

_POD_LOG_LINKS = Path("/var/log/containers")
_CGROUPS = Path("/sys/fs/cgroup")
_GRACE_SECONDS = 5
_DAEMONS = ("containerd", "containerd-shim-runc-v2", *NODE, *CONTROL_PLANE)


def remove_leftovers(state: Path) -> None:
    """End every process, container, mount and interface of the node whose state folder this is, and the folder.

    Nothing is touched that does not name ``state``, except the bridge and the tables of the node's own names.
    """
    _end_processes(state)
    _delete_containers(Containerd(state).runc_state)
    _unmount(state)
    _delete_networks()
    _delete_cgroups()
    _delete_log_links(state)
    if state.exists():
        shutil.rmtree(state)


def _end_processes(state: Path) -> None:
    """End the daemons and shims whose command line names the folder; the containers are runc's to end."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for pid in _processes_naming(state):
            with suppress(ProcessLookupError):
                os.kill(pid, sent)
        deadline = time.monotonic() + _GRACE_SECONDS
        while list(_processes_naming(state)) and time.monotonic() < deadline:
            time.sleep(0.05)


def _processes_naming(state: Path) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if Path(words[0]).name in _DAEMONS and any(f"{state}/" in word for word in words):
                yield int(process.name)


def _delete_containers(runc_state: Path) -> None:
    for root in runc_state.glob("*"):
        for container in root.iterdir():
            subprocess.run(["runc", "--root", str(root), "delete", "--force", container.name], capture_output=True)


def _unmount(state: Path) -> None:
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for target in sorted((each for each in mounted if each.startswith(f"{state}/")), reverse=True):
        if subprocess.run(["umount", target], capture_output=True).returncode:
            subprocess.run(["umount", "--lazy", target], capture_output=True)


def _delete_networks() -> None:
    subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True)
    for family in ("ip", "ip6"):
        subprocess.run(["nft", "delete", "table", family, "kube-proxy"], capture_output=True)
    remove_host_address()


def _delete_cgroups() -> None:
    """Remove the kubelet's empty cgroups, in every hierarchy of version 1 or in the one of version 2."""
    for top in (*_CGROUPS.glob("kubepods"), *_CGROUPS.glob("*/kubepods")):
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def _delete_log_links(state: Path) -> None:
    if _POD_LOG_LINKS.is_dir():
        for link in _POD_LOG_LINKS.iterdir():
            if link.is_symlink() and str(link.readlink()).startswith(f"{state}/"):
                link.unlink()
