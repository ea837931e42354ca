"""The kubectl plugin for krew: ``make plugin`` writes the archive and its manifest to ``out/``.

The archive has no compiled code, so that one serves all machines: the project's own wheels, the locked packages' names and
digests, and a shell script whose first start installs them into the plugin's folder.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from scripts.release import ROOT, version

UV = ROOT / "scripts" / "uv"
SOURCES = ROOT / "manifests" / "krew"
LAUNCHER = SOURCES / "kubectl-talkingvideo"
DISTRIBUTIONS = ("talkingvideo-api", "talkingvideo-clients", "talkingvideo-cli")
EXPORT = (
    "export",
    "--frozen",
    "--quiet",
    "--package",
    "talkingvideo-cli",
    "--no-dev",
    "--no-emit-workspace",
    "--no-header",
)


def build(out: Path, repository: str) -> tuple[Path, Path]:
    """Write the archive and its manifest.

    Args:
        out: Folder for both.
        repository: OWNER/NAME on GitHub, whose releases will have the archive.

    Returns:
        Their paths.
    """
    out.mkdir(parents=True, exist_ok=True)
    archive, manifest = out / f"kubectl-talkingvideo-{version()}.tar.gz", out / "krew-talkingvideo.yaml"
    with tempfile.TemporaryDirectory() as folder:
        content = [LAUNCHER, ROOT / "LICENSE", ROOT / "NOTICE", *_packages(Path(folder))]
        archive.write_bytes(packed(content))
    manifest.write_text(filled(repository, hashlib.sha256(archive.read_bytes()).hexdigest()))
    return archive, manifest


def _packages(folder: Path) -> list[Path]:
    requirements = folder / "requirements.txt"
    requirements.write_bytes(subprocess.run([UV, *EXPORT], cwd=ROOT, check=True, capture_output=True).stdout)
    for name in DISTRIBUTIONS:
        command = (UV, "build", "--quiet", "--wheel", "--package", name, "--out-dir", folder)
        subprocess.run(command, cwd=ROOT, check=True)
    return [requirements, *sorted(folder.glob("*.whl"))]


def packed(files: Iterable[Path]) -> bytes:
    """A .tar.gz of files, without their folders; the same files make the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for file in sorted(files, key=lambda file: file.name):
            entry = tarfile.TarInfo(file.name)
            entry.size = file.stat().st_size
            entry.mode = 0o755 if file == LAUNCHER else 0o644
            with file.open("rb") as content:
                tar.addfile(entry, content)
    return buffer.getvalue()


def filled(repository: str, sha256: str) -> str:
    """The manifest of an archive, as krew reads it."""
    template = (SOURCES / "talkingvideo.yaml").read_text().split("\n", 1)[1]
    return template.replace("REPOSITORY", repository).replace("SHA256", sha256).replace("VERSION", version())


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].count("/") != 1:
        sys.exit("usage: python -m scripts.plugin OWNER/REPOSITORY")
    for written in build(ROOT / "out", sys.argv[1]):
        print(written.relative_to(ROOT))
