"""What the steps of prepare hand over, in the pod's scratch folder."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.inputs import Input


def inputs_folder(scratch: Path) -> Path:
    """What ``fetch`` fetched, unparsed."""
    return scratch / "inputs"


def prepared_folder(scratch: Path) -> Path:
    """What ``process`` made: the workspace's files."""
    return scratch / "prepared"


def prepared_marker(scratch: Path) -> Path:
    """There when an earlier run had already published the plan: nothing is fetched or processed again."""
    return scratch / "already-prepared"


def input_path(scratch: Path, each: Input) -> Path:
    """Where ``fetch`` puts an input."""
    return inputs_folder(scratch) / each.name
