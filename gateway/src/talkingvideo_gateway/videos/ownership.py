"""What a video has to leave alone, so that callers of one namespace cannot reach each other's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from talkingvideo_gateway.errors import ForbiddenError
from talkingvideo_gateway.identity.caller import Caller

OWN_NAME = "{name}-{revision}"
"""Last part of the names of results that no other video can have, whatever folder, prefix or volume it is in: a revision has a
fixed number of characters, and names are unique in a namespace."""


def require_own(caller: Caller, spec: Mapping[str, Any]) -> None:
    """Refuse a spec whose result could take the place of another caller's, or that leaves the caller's profile.

    Whoever has Kubernetes rights on the videos could write it into an object just as well.

    Raises:
        ForbiddenError: With the field.
    """
    if caller.sees_namespace:
        return
    if (profile := spec.get("profile")) is not None and profile != caller.profile:
        raise ForbiddenError(f"Your videos have {_profile(caller)}.", field="spec.profile")
    output = spec.get("output")
    name = output.get("name") if isinstance(output, Mapping) else None
    if isinstance(name, str) and name.rpartition("/")[2] != OWN_NAME:
        message = f"The names of your results end with /{OWN_NAME}: another video's cannot be the same then."
        raise ForbiddenError(message, field="spec.output.name")


def _profile(caller: Caller) -> str:
    return "the default profile" if caller.profile is None else f"the profile {caller.profile}"
