"""Image archives in ``docker save``'s format: packing one from a folder, and measuring one."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def pack(root: Path, name: str, command: Sequence[str], machine: str, target: Path) -> None:
    """Write the folder ``root`` as an image of one layer.

    Args:
        root: The root file system; device files are left out.
        name: The image's name and tag.
        command: What it runs by default.
        machine: The kernel's word for the architecture, such as ``x86_64``.
        target: The archive to write.
    """
    layer = target.with_name(target.name + ".layer")
    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as archive:
        for entry in sorted(root.iterdir()):
            archive.add(entry, arcname=entry.name, filter=_without_devices)
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES[machine],
            "os": "linux",
            "created": datetime.now(UTC).isoformat(),
            "config": {"Env": [_PATH], "Cmd": list(command)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "packed from a folder"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for entry_name, content_bytes in ((config_name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(entry_name)
            info.size = len(content_bytes)
            archive.addfile(info, io.BytesIO(content_bytes))
        archive.add(layer, arcname="layer.tar")
    layer.unlink()


def _without_devices(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if entry.isdev() else entry


@dataclass(frozen=True)
class ImageFile:
    """A regular file of an image: ``size`` in bytes; ``path`` without a leading slash."""

    path: str
    size: int


def added_files(archive: Path, base: Path) -> list[ImageFile]:
    """Return the regular files that an image adds to its base, unpacked (a later layer's file replaces an earlier's)."""
    in_base = set(_layers(base))
    sizes: dict[str, int] = {}
    with tarfile.open(archive) as image:
        for digest, member in _layers(archive).items():
            if digest in in_base:
                continue
            layer = image.extractfile(member)
            with tarfile.open(fileobj=layer) as content:
                sizes |= {entry.name: entry.size for entry in content if entry.isfile()}
    return [ImageFile(path.removeprefix("./"), size) for path, size in sizes.items()]


def settings(archive: Path) -> dict[str, object]:
    """Return the image's run configuration: ``User``, ``Entrypoint``, ``Env`` ..."""
    with tarfile.open(archive) as image:
        return dict(_config(image)["config"])


def _layers(archive: Path) -> dict[str, str]:
    """Map the digest of each layer's content, lowest first, to its member in the archive."""
    with tarfile.open(archive) as image:
        members = json.load(image.extractfile("manifest.json"))[0]["Layers"]  # type: ignore[arg-type]
        return dict(zip(_config(image)["rootfs"]["diff_ids"], members, strict=True))


def _config(image: tarfile.TarFile) -> dict[str, dict[str, list[str]]]:
    manifest = json.load(image.extractfile("manifest.json"))  # type: ignore[arg-type]
    return dict(json.load(image.extractfile(manifest[0]["Config"])))  # type: ignore[arg-type]
