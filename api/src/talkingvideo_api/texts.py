"""Texts of bounded size."""

from __future__ import annotations

ELLIPSIS = "…"
"""End of a truncated text."""


def truncate(text: str, limit: int) -> str:
    """The beginning of a text: at most ``limit`` bytes of UTF-8, ending with an ellipsis where text is left out."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len(ELLIPSIS.encode())].decode(errors="ignore") + ELLIPSIS
