"""The images that others stand on, made from this machine's compiler and Debian's packages: there is no registry."""

import hashlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.cluster.caches import cache_folder, locked, placed_atomically
from tests.cluster.docker_archive import pack
from tests.cluster.packages import ensure_packages
from tests.cluster.progress import timed

PAUSE = "localhost/pause:local"
PYTHON = "localhost/python:3.11-slim"

_PAUSE_SOURCE = """
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int signal) { _exit(0); }
static void reap(int signal) { while (waitpid(-1, NULL, WNOHANG) > 0) {} }
int main(void) { signal(SIGINT, end); signal(SIGTERM, end); signal(SIGCHLD, reap); for (;;) pause(); }
"""
_DEBIAN = "bookworm"
_DEBIAN_PACKAGES = "python3,python3-venv,ca-certificates"
_NOT_NEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
_HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def pause_image() -> Path:
    """Return the archive of the program that holds a pod's namespaces, as ``localhost/pause:local``."""
    return _cached("pause", _PAUSE_SOURCE.encode(), _make_pause)


def python_image() -> Path:
    """Return the archive of ``localhost/python:3.11-slim``, a stand-in for the official slim image.

    Debian's Python 3.11 with venv and the certificates that this machine trusts. Made once by debootstrap; root.
    """
    recipe = f"{_DEBIAN} {_DEBIAN_PACKAGES} {_NOT_NEEDED}".encode()
    return _cached("python", recipe + _HOST_CERTIFICATES.read_bytes(), _make_python)


def _cached(name: str, recipe: bytes, make: Callable[[Path, Path], None]) -> Path:
    ensure_packages()
    target = cache_folder("images") / f"{name}-{hashlib.sha256(recipe).hexdigest()[:12]}.tar"
    with locked(target):
        if not target.exists():
            with timed(f"made the {name} image"), tempfile.TemporaryDirectory() as root:
                Path(root).chmod(0o755)
                with placed_atomically(target) as unfinished:
                    make(Path(root), unfinished)
    return target


def _make_pause(root: Path, target: Path) -> None:
    compile_it = ["gcc", "-Os", "-static", "-s", "-x", "c", "-", "-o", str(root / "pause")]
    subprocess.run(compile_it, input=_PAUSE_SOURCE.encode(), check=True)
    pack(root, PAUSE, ["/pause"], platform.machine(), target)


def _make_python(root: Path, target: Path) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={_DEBIAN_PACKAGES}", _DEBIAN, str(root)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
    for folder in _NOT_NEEDED:
        shutil.rmtree(root / folder)
        (root / folder).mkdir()
    shutil.copy(_HOST_CERTIFICATES, root / _HOST_CERTIFICATES.relative_to("/"))
    pack(root, PYTHON, ["python3"], platform.machine(), target)
