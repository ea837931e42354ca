"""Keys of files in stores: which are normal, which are hidden, which folder they are in.

Workspaces and finished chunks lie below a folder whose name begins with a dot, and no result's key or input's key may have
such a segment: they cannot overlap, whatever prefixes and names are combined.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from string import Formatter

WORK_FOLDER = ".work"
"""Folder of a store with the workspaces and chunks of every namespace."""

MAX_KEY_BYTES = 1_000
"""S3 allows 1,024 bytes (Amazon S3 User Guide, "Naming Amazon S3 objects"); a result's files have suffixes."""

PLACEHOLDERS = ("namespace", "name", "revision", "date")
"""The placeholders of ``spec.output.name``."""

IGNORABLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Printable characters that a file system which folds case may ignore (Unicode's Default_Ignorable_Code_Point)."""


def key_problem(key: str) -> str | None:
    """What is wrong with a key, as the end of a sentence that begins with "the key", or None.

    A normal key is one that every store reads alike: as folders and a name, none of them hidden. Characters are compared
    after compatibility normalisation too, because some file systems take a full-width dot or slash for the plain one.
    """
    if not key.isprintable() or "\\" in key or IGNORABLE.search(key):
        return "has a backslash, or a control or invisible character"
    if len(key.encode()) > MAX_KEY_BYTES:
        return f"is longer than {MAX_KEY_BYTES:,} bytes"
    if "" in key.split("/"):
        return "begins or ends with '/', or contains '//'"
    if any(form.startswith(".") for form in _segments(key)):
        return "has a part that begins with '.', which hides work in progress"
    return None


def is_work(path: str) -> bool:
    """Whether a path of a volume leads to work in progress: in any spelling that a file system may take for it."""
    shown = "".join(character for character in IGNORABLE.sub("", path) if character.isprintable())
    return any(form.casefold() == WORK_FOLDER for form in _segments(shown))


def template_problem(template: str) -> str | None:
    """What is wrong with a template of a key, as the end of a sentence that begins with "the template", or None."""
    try:
        pieces = [piece for piece in Formatter().parse(template) if piece[1] is not None]
    except ValueError:
        pieces = [("", "", "", None)]
    if any(name not in PLACEHOLDERS or spec or conversion for _, name, spec, conversion in pieces):
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        return f"may contain {known} only, without conversion or format"
    return None


def _segments(key: str) -> Iterable[str]:
    """The parts of a key, as written and as file systems that normalise names may read them."""
    return (part for form in (key, unicodedata.normalize("NFKC", key)) for part in re.split(r"[/\\]", form))


def joined(*parts: str) -> str:
    """One key from a prefix and a name; slashes at the ends of each are ignored, and so are empty parts."""
    return "/".join(filter(None, (part.strip("/") for part in parts)))


def rest_below(folder: str, key: str) -> str | None:
    """The key relative to a folder, or None if it is not below it. Everything is below an empty folder."""
    if not folder:
        return key
    return key.removeprefix(f"{folder}/") if key.startswith(f"{folder}/") else None


def longest_above(folders: Iterable[str], key: str) -> str | None:
    """The innermost of some folders that the key is below."""
    return max((folder for folder in folders if rest_below(folder, key) is not None), key=len, default=None)


def input_problem(bucket: str, key: str, places: Iterable[str]) -> str | None:
    """Why an object of a bucket may not be read as an input, as a sentence without its end, or None.

    Args:
        bucket: The bucket.
        key: The object's key, as it is sent to the store.
        places: Where inputs may come from: ``bucket``, ``bucket/folder/`` or ``*``.
    """
    if problem := key_problem(key):
        return f"the key {problem}"
    if may_read(bucket, key, places):
        return None
    allowed = ", ".join(f"s3://{place}" for place in places) or "nowhere"
    return (
        f"the profile allows s3:// inputs from {allowed}; "
        f"the administrator can list a place of bucket {bucket!r} in the profile's allow.inputBuckets"
    )


def may_read(bucket: str, key: str, allowed: Iterable[str]) -> bool:
    """Whether an object is in one of the places, which are written ``bucket``, ``bucket/prefix/`` or ``*``."""
    return any(place == "*" or f"{bucket}/{key}".startswith(f"{place.rstrip('/')}/") for place in allowed)
