"""What this release does not pin is trusted when it is fetched into a folder for the first time, and held to that afterwards.

``trusted.json`` in the folder of weights records it: the commit of a repository whose commit is not pinned, and the checksum of a
file whose sha256 is not. It is removed to trust the hub anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from talkingvideo_worker.files import atomic_write

TRUSTED = "trusted.json"


class TrustedOnFirstUse:
    """The record of one folder.

    Args:
        folder: The folder of weights.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / TRUSTED
        self._known = _read(self._file)

    def known(self, what: str) -> str | None:
        """What was trusted under a name before; None the first time."""
        found = self._known.get(what)
        return found if isinstance(found, str) else None

    def remember(self, what: str, value: str) -> None:
        """Trust a value from now on."""
        if self._known.get(what) == value:
            return
        self._known[what] = value
        with atomic_write(self._file) as unfinished:
            unfinished.write_text(json.dumps(self._known, indent=1, sort_keys=True))


def _read(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
