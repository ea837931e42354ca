"""``--set path=value``: fields of the spec from the command line."""

from __future__ import annotations

import json
import re
from typing import Any

from talkingvideo_cli.exits import usage

PATH = re.compile(r"[A-Za-z]\w*(\[\d\])?(\.[A-Za-z]\w*(\[\d\])?)*")
STEP = re.compile(r"[A-Za-z]\w*|\[\d\]")


def assign(spec: dict[str, Any], setting: str) -> None:
    """Set one field of a spec.

    Args:
        spec: Changed in place.
        setting: ``path=value``: names and indices as in ``render.loras[0].name``, with or without ``spec.`` before them; the
            value is JSON where it can be read as that, and otherwise the string as it stands. YAML would read ``9:16`` as 556.

    Raises:
        CommandError: It is not of that form, or leads through a value that has no fields.
    """
    path, separator, value = setting.partition("=")
    if not separator or not PATH.fullmatch(path):
        raise usage(f"--set {setting}: write path=value, such as render.steps=8 or speech.speakers[0].voice=de")
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = value
    steps = [int(step[1]) if step.startswith("[") else step for step in STEP.findall(path.removeprefix("spec."))]
    try:
        _put(spec, steps, parsed)
    except (TypeError, IndexError) as error:
        raise usage(
            f"--set {setting}: the spec has no place for it there; indices follow one another from [0]"
        ) from error


def _put(holder: Any, steps: list[int | str], value: Any) -> None:
    step, *rest = steps
    fits = isinstance(holder, list) if isinstance(step, int) else isinstance(holder, dict)
    if not fits:
        raise TypeError
    if step == len(holder):
        holder.append(None)
    if not rest:
        holder[step] = value
        return
    present = holder[step] if isinstance(step, int) else holder.get(step)
    if present is None:
        present = holder[step] = [] if isinstance(rest[0], int) else {}
    _put(present, rest, value)
