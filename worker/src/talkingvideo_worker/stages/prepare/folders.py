"""Folders of the scratch volume, through which the steps of prepare hand files to each other."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.inputs import Input


def inputs_folder(scratch: Path) -> Path:
    """Folder of the inputs as ``fetch`` received them, unparsed."""
    return scratch / "inputs"


def input_path(scratch: Path, given: Input) -> Path:
    """File of an input."""
    return inputs_folder(scratch) / given.name


def prepared_folder(scratch: Path) -> Path:
    """Folder of the files that ``process`` writes for the workspace."""
    return scratch / "prepared"


def prepared_marker(scratch: Path) -> Path:
    """File that exists when the plan was published before: then nothing is fetched or processed again."""
    return scratch / "already-prepared"
