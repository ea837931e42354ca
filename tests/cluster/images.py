"""The project's images, built by buildah from the repository's Dockerfiles on the base image made here."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.cluster.base_images import PYTHON, python_image
from tests.cluster.caches import cache_folder, locked, placed_atomically
from tests.cluster.docker_archive import added_files
from tests.cluster.packages import ensure_packages
from tests.cluster.progress import timed

REPOSITORY = Path(__file__).parents[2]
_SHARED_INPUTS = (
    ".dockerignore",
    "VERSION",
    "pyproject.toml",
    "scripts/uv.txt",
    "uv.lock",
    "api/pyproject.toml",
    "cli/pyproject.toml",
    "clients/pyproject.toml",
    "gateway/pyproject.toml",
    "operator/pyproject.toml",
)
_MIRROR_SETTINGS = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")


class Image(Enum):
    """What is built: Dockerfile, target (empty: the last stage), folders of source code."""

    GATEWAY = ("Dockerfile.gateway", "", ("api/src", "clients/src", "gateway/src"))
    OPERATOR = ("Dockerfile.operator", "", ("api/src", "clients/src", "operator/src"))
    WORKER_PREVIEW = ("Dockerfile.worker", "preview", ("api/src", "clients/src", "worker/src"))
    WORKER_GPU = ("Dockerfile.worker", "gpu", ("api/src", "clients/src", "worker/src"))
    """6.4 GB, of which a node and its build need five times as much: made only with ``GPU_IMAGE=1``."""
    WORKER_ON_VOLUME = ("tests/cluster/Dockerfile.worker-on-volume", "", ("api/src", "clients/src", "worker/src"))
    """The preview worker, which finds torch on the volume of weights."""

    @property
    def dockerfile(self) -> str:
        """Its Dockerfile, relative to the repository."""
        return self.value[0]

    @property
    def target(self) -> str:
        """The stage to build; empty for the last one."""
        return self.value[1]

    @property
    def title(self) -> str:
        """Its name without registry and tag, such as ``talkingvideo-worker``."""
        return Path(self.dockerfile).name.replace("Dockerfile.", "talkingvideo-")

    @property
    def parent(self) -> Image | None:
        """The image that it stands on, when that is one of these; else the base."""
        return Image.WORKER_PREVIEW if self is Image.WORKER_ON_VOLUME else None

    def inputs(self) -> Iterator[Path]:
        """The files that decide its content, in a fixed order."""
        parents = [self.parent.dockerfile] if self.parent else []
        single = (self.dockerfile, *parents, *_SHARED_INPUTS, "worker/pyproject.toml")
        yield from (REPOSITORY / name for name in single)
        for folder in self.value[2]:
            sources = sorted((REPOSITORY / folder).rglob("*"))
            yield from (file for file in sources if file.is_file() and "__pycache__" not in file.parts)


SMALL_IMAGES = (Image.OPERATOR, Image.WORKER_PREVIEW)
"""What every real node has."""


def torch_worker() -> Image:
    """The image of tests with torch: with ``GPU_IMAGE=1`` the one that users have, which takes 40 GB of disk."""
    return Image.WORKER_GPU if os.environ.get("GPU_IMAGE") == "1" else Image.WORKER_ON_VOLUME


@dataclass(frozen=True)
class BuiltImage:
    """An image in an archive that ``ctr images import`` reads, under ``name`` (its tag is a digest of its inputs)."""

    name: str
    archive: Path
    base: Path

    def added_bytes(self) -> int:
        """What it adds to its base image, unpacked, in bytes."""
        return sum(file.size for file in added_files(self.archive, self.base))


def built_image(image: Image) -> BuiltImage:
    """Return an image, building it if the cache has none of the same inputs.

    Raises:
        UnavailableError: This is not root, or a package can't be installed.
        RuntimeError: The build failed; the end of its output is in the message.
    """
    parent = built_image(image.parent) if image.parent else None
    ensure_packages()
    base = python_image()
    digest, name = input_digest(image, base), image_name(image)
    target = cache_folder("images") / f"{image.title}-{image.target}{digest}.tar"
    with locked(target.with_name("buildah")):  # Builds share one store, one at a time.
        if not target.exists():
            with timed(f"built {name}"), _unmounted_afterwards(base), placed_atomically(target) as unfinished:
                _build(image, name, base, parent, unfinished)
            _forget_older(image, target, base)
    return BuiltImage(name, target, base)


def image_name(image: Image) -> str:
    """The name under which an image is or will be built; objects may be made with it before."""
    return f"localhost/{image.title}:{input_digest(image, python_image())}"


def input_digest(image: Image, base: Path) -> str:
    """Return a digest of all that decides the image's content, short enough for a tag."""
    digest = hashlib.sha256(f"{base.name} {image.target}".encode())
    for file in image.inputs():
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(REPOSITORY)} {content}\n".encode())
    return digest.hexdigest()[:12]


def _build(image: Image, name: str, base: Path, parent: BuiltImage | None, target: Path) -> None:
    stands_on, archive = (parent.name, parent.archive) if parent else (PYTHON, base)
    if _buildah(base, "images", "--quiet", stands_on, check=False) == "":
        _buildah(base, "pull", "--quiet", f"docker-archive:{archive}")
    arguments = ["--build-arg", f"BASE={stands_on}"]
    for setting in _MIRROR_SETTINGS:
        if setting in os.environ:
            arguments += ["--build-arg", setting]
    if image.target:
        arguments += ["--target", image.target]
    _buildah(
        base,
        *("build", "--isolation", "chroot", "--network", "host", "--pull-never", "--layers"),
        *("--file", str(REPOSITORY / image.dockerfile), "--tag", name, *arguments, str(REPOSITORY)),
    )
    _buildah(base, "push", "--quiet", name, f"docker-archive:{target}:{name}")


def _buildah(base: Path, *arguments: str, check: bool = True) -> str:
    """Run buildah on a store of its own, one for each base, in the cache; it asks no registry."""
    store = _store(base)
    registries = store / "registries.conf"
    registries.write_text("")
    options = ["--root", str(store / "root"), "--runroot", str(store / "run"), "--storage-driver", "overlay"]
    command = ["buildah", *options, "--registries-conf", str(registries), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"buildah {arguments[0]} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout.strip()


def _store(base: Path) -> Path:
    return cache_folder("buildah", base.stem)


@contextmanager
def _unmounted_afterwards(base: Path) -> Iterator[None]:
    """Remove working containers (a failed build leaves its own) and the mount that buildah puts over its store."""
    try:
        yield
    finally:
        _buildah(base, "rm", "--all", check=False)
        subprocess.run(["umount", str(_store(base) / "root" / "overlay")], capture_output=True)


def _forget_older(image: Image, newest: Path, base: Path) -> None:
    for archive in newest.parent.glob(f"{image.title}-{image.target}*.tar"):
        if archive != newest:
            digest = archive.stem.removeprefix(f"{image.title}-{image.target}")
            _buildah(base, "rmi", f"localhost/{image.title}:{digest}", check=False)
            archive.unlink()
