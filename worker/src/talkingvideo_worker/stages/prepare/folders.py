"""Folders through which the steps of prepare hand files to each other.

In a pod each of the two is a volume, mounted into the scratch folders of its writer and, read-only, of its readers. All else
in a scratch folder is its container's own.
"""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.inputs import Input
from talkingvideo_api.stage_input import INPUTS_FOLDER, PREPARED_FOLDER

PICTURE = "picture.png"
VIDEO = "picture.mp4"
"""Names of the prepared source."""


def inputs_folder(scratch: Path) -> Path:
    """Folder of the inputs as ``fetch`` received them, unparsed."""
    return scratch / INPUTS_FOLDER


def input_path(scratch: Path, given: Input) -> Path:
    """File of an input."""
    return inputs_folder(scratch) / given.name


def prepared_folder(scratch: Path) -> Path:
    """Folder of the files that ``process`` writes for the workspace."""
    return scratch / PREPARED_FOLDER


def prepared_marker(scratch: Path) -> Path:
    """File that exists when the plan was published before: then nothing is fetched or processed again."""
    return inputs_folder(scratch) / "already-prepared"
