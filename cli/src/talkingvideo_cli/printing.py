"""Output: objects for programs, columns and sentences for people."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import yaml

from talkingvideo_api.names import GROUP, SINGULAR

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters other than tabs and line feeds, and those that turn the direction of text."""


class Format(StrEnum):
    """Formats of ``-o``."""

    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def formatted(body: Mapping[str, Any], chosen: Format) -> str:
    """An object, or a list of some, as ``kubectl -o`` writes it."""
    match chosen:
        case Format.JSON:
            text = json.dumps(body, indent=4, ensure_ascii=False)
            return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        case Format.YAML:
            return yaml.safe_dump(body, sort_keys=False, allow_unicode=True).rstrip()
        case Format.NAME:
            return "\n".join(full_name(each) for each in body.get("items", (body,)))


def full_name(body: Mapping[str, Any]) -> str:
    """The name that every command of ``kubectl`` accepts."""
    return f"{SINGULAR}.{GROUP}/{body['metadata']['name']}"


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as ``kubectl get`` prints it."""
    table = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    return "\n".join(lines)


def printable(text: str) -> str:
    """A text without what a terminal would obey: whoever may write a log or a status chooses its characters."""
    return OBEYED.sub("�", text)


def out(text: str) -> None:
    """Print a text that was asked for."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def out_object(body: Mapping[str, Any], chosen: Format) -> None:
    """Print an object for programs: not a character of it is changed."""
    sys.stdout.write(formatted(body, chosen) + "\n")
    sys.stdout.flush()


def out_change(body: Mapping[str, Any], what: str, chosen: Format | None) -> None:
    """Print what has become of an object, as ``kubectl`` does: the object for programs, or its name and a word or two."""
    if chosen:
        out_object(body, chosen)
    else:
        out(f"{full_name(body)} {what}")


def tell(text: str) -> None:
    """Print what happens meanwhile."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def age(since: datetime, now: datetime | None = None) -> str:
    """A time span in one unit, as ``kubectl`` shows it."""
    return short(max(timedelta(), (now or datetime.now(UTC)) - since))


def short(span: timedelta) -> str:
    """A time span in one unit: 42s, 12m, 5h, 3d."""
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
