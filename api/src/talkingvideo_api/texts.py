"""Texts for people: of bounded size, and without what would move a terminal's cursor."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

ELLIPSIS = "…"
"""End of a truncated text."""


def printable(text: str) -> str:
    """The text in one line, with spaces for control characters and for those that hide or turn others.

    Messages repeat what authors, files and servers have written, and are shown by terminals: an escape sequence there may
    write to the clipboard, and a line end may look like another message.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


Line = Annotated[str, AfterValidator(printable)]
"""A text in one line."""


def truncate(text: str, limit: int) -> str:
    """The beginning of a text: at most ``limit`` bytes of UTF-8, ending with an ellipsis where text is left out."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len(ELLIPSIS.encode())].decode(errors="ignore") + ELLIPSIS
