"""Ids of videos, and the names of their objects."""

from __future__ import annotations

import re

PREFIX = "video_"
"""OpenAI's; an underscore is not legal in an object's name."""

_ID = re.compile(f"{PREFIX}([0-9a-f]{{32}})")
_NAME = re.compile("v-([0-9a-f]{32})")


def id_of(name: str) -> str:
    """The id of an object: its own name where it was not made up here."""
    made_up = _NAME.fullmatch(name)
    return f"{PREFIX}{made_up[1]}" if made_up else name


def name_of(video_id: str) -> str:
    """The name of the object that has an id."""
    made_up = _ID.fullmatch(video_id)
    return f"v-{made_up[1]}" if made_up else video_id
