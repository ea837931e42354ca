"""What a release needs beside the code: ``VERSION`` in every place that states the version, the licence in every package.

``python scripts/release.py write`` (a part of ``make crds``) writes them; ``python scripts/release.py check`` (``make
release-check``) says what keeps this checkout from being released, and ends with 1 if there is something.
"""

from __future__ import annotations

import datetime
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = ("api", "cli", "clients", "gateway", "operator", "worker")
LICENCES = ("LICENSE", "NOTICE")
"""Each distribution has copies: its build may not look outside its own folder for them."""

IMAGE_TAG = re.compile(
    r"(?<=talkingvideo-operator:)\d+\.\d+\.\d+|(?<=talkingvideo-worker:)\d+\.\d+\.\d+|(?<=talkingvideo-gateway:)\d+\.\d+\.\d+"
)
"""The version in an image's tag, without a suffix such as ``-gpu``."""

PLACES = {
    "charts/talkingvideo/Chart.yaml": re.compile(r"(?<=^version: )\S+|(?<=^appVersion: )\S+", re.MULTILINE),
    "charts/talkingvideo/values.yaml": IMAGE_TAG,
    "manifests/base/kustomization.yaml": re.compile(r"(?<=newTag: )\S+"),
    "manifests/base/config.yaml": IMAGE_TAG,
    "README.md": IMAGE_TAG,
    "docs/operations.md": IMAGE_TAG,
}
"""Files that state the version, and what matches it in them."""


WEIGHTS = "worker/src/talkingvideo_worker/weights/pins.json"
"""Commits and sha256 of the published weights; null where they are not known."""


def version(root: Path = ROOT) -> str:
    """The version of the checkout, such as ``1.2.3``."""
    return (root / "VERSION").read_text().strip()


def write(root: Path = ROOT) -> None:
    """Write version and licences to their places."""
    for name, pattern in PLACES.items():
        file = root / name
        file.write_text(pattern.sub(version(root), file.read_text()))
    for distribution in DISTRIBUTIONS:
        for licence in LICENCES:
            shutil.copyfile(root / licence, root / distribution / licence)


def stale(root: Path = ROOT) -> Iterator[str]:
    """One sentence for each place that does not agree with ``VERSION``, ``LICENSE`` or ``NOTICE``."""
    wanted = version(root)
    for name, pattern in PLACES.items():
        stated = set(pattern.findall((root / name).read_text()))
        if stated - {wanted}:
            yield f"{name} states {', '.join(sorted(stated - {wanted}))}, VERSION {wanted}: make crds"
    for distribution in DISTRIBUTIONS:
        for licence in LICENCES:
            if (root / distribution / licence).read_bytes() != (root / licence).read_bytes():
                yield f"{distribution}/{licence} is not a copy of {licence}: make crds"


def unreleasable(root: Path = ROOT) -> Iterator[str]:
    """One sentence for each thing that keeps the checkout from being released."""
    yield from stale(root)
    wanted = version(root)
    if re.fullmatch(r"\d+\.\d+\.\d+", wanted) is None:
        yield f"VERSION holds {wanted!r}: Helm's, Python's and the images' versions agree on three numbers only, such as 1.2.3"
    if not re.search(rf"^## \[{re.escape(wanted)}\] - \d{{4}}-\d{{2}}-\d{{2}}$", _changelog(root), re.MULTILINE):
        today = datetime.datetime.now(tz=datetime.UTC).date()
        yield f"CHANGELOG.md has no section of this version: rename Unreleased to '## [{wanted}] - {today}'"
    for pin in json.loads((root / WEIGHTS).read_text()):
        unknown = [name for name, sha256 in pin["files"].items() if sha256 is None]
        if pin["commit"] is None:
            yield f"{WEIGHTS} has no commit of {pin['repository']}: make update-weights"
        if unknown:
            yield f"{WEIGHTS} has no sha256 of {pin['repository']}'s {', '.join(unknown)}: make update-weights"
    if changed := _git(root, "status", "--porcelain"):
        yield f"There are uncommitted changes: {', '.join(line[3:] for line in changed.splitlines())}"


def notes(root: Path = ROOT) -> str:
    """The changelog's section of this version, without its heading."""
    heading = rf"^## \[{re.escape(version(root))}\][^\n]*\n"
    found = re.search(heading + r"(.*?)(?=^## |\Z)", _changelog(root), re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"CHANGELOG.md has no section of {version(root)}")
    return found[1].strip() + "\n"


def _changelog(root: Path) -> str:
    return (root / "CHANGELOG.md").read_text()


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def main(command: str) -> int:
    """Run a command; returns the exit status."""
    if command == "write":
        write()
    elif command == "notes":
        print(notes(), end="")
    elif command == "check":
        reasons = list(unreleasable())
        print("\n".join(reasons) or f"{version()} can be released.")
        return bool(reasons)
    else:
        print("usage: release.py write|check|notes", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
