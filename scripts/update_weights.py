"""Writes the commits and sha256 of the published weights: ``make update-weights``, where the Hugging Face hub can be reached.

Without ``--newest``, commits that are pinned stay as they are, and what is not known is filled in. With it, each repository is
pinned to the commit that its branch has now; the changes of ``pins.json`` are then for a person to review.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

from talkingvideo_worker.process.weights_commands import PUBLISHED
from talkingvideo_worker.weights.location import PublishedFiles
from talkingvideo_worker.weights.pins import FILE, Pin, Pins, read_pins, write_pins


def updated(known: Pins, published: Iterable[PublishedFiles], hub: HfApi, *, newest: bool) -> Pins:
    """The pins of all rows, as the hub has them.

    Args:
        known: The pins until now.
        published: The rows; those of one repository and branch share a pin.
        hub: The hub.
        newest: Whether a pinned commit is replaced by the branch's present one.
    """
    rows: dict[tuple[str, str], Pin] = {}
    for row in published:
        before = known.of(row)
        found = rows.get((row.repository, row.revision))
        commit = found.commit if found else None if newest else before.commit
        info = hub.model_info(row.repository, revision=commit or row.revision, files_metadata=True)
        if info.sha is None:
            raise LookupError(f"the hub states no commit of {row.repository}")
        files = dict(found.files) if found else {}
        for sibling in info.siblings or ():
            if row.includes(sibling.rfilename):
                digest = (
                    sibling.lfs.sha256 if sibling.lfs else _sha256(hub, row.repository, sibling.rfilename, info.sha)
                )
                _report(row, sibling.rfilename, before, digest)
                files[sibling.rfilename] = digest
        rows[row.repository, row.revision] = Pin(row.repository, row.revision, info.sha, files)
    return Pins(tuple(rows.values()))


def _sha256(hub: HfApi, repository: str, name: str, commit: str) -> str:
    """The sha256 of a small file, of which the hub states only git's id."""
    answer = get_session().get(
        hf_hub_url(repository, name, revision=commit, endpoint=hub.endpoint), follow_redirects=True
    )
    answer.raise_for_status()
    return hashlib.sha256(answer.content).hexdigest()


def _report(row: PublishedFiles, name: str, before: Pin, digest: str) -> None:
    known = before.files.get(name)
    if known is not None and known != digest:
        print(f"CHANGED  {row.repository} {name}: {known} -> {digest}", file=sys.stderr)


def main(arguments: list[str], file: Path = FILE, endpoint: str | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--newest", action="store_true", help="pin the commits that the branches have now")
    given = parser.parse_args(arguments)
    write_pins(updated(read_pins(file), PUBLISHED, HfApi(endpoint=endpoint), newest=given.newest), file)


if __name__ == "__main__":
    main(sys.argv[1:])
