"""What a video has to leave alone, so that callers of one namespace cannot reach each other's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from talkingvideo_api.effective import DEFAULT_OUTPUT_NAME
from talkingvideo_gateway.errors import ForbiddenError
from talkingvideo_gateway.identity.caller import Caller

OWN_FOLDER = "{namespace}/{name}/"
"""Beginning of results' names that are no other video's: names of objects have no slash."""


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
    if not isinstance(output, Mapping):
        return
    for field in ("store", "s3", "pvc"):
        if output.get(field) is not None:
            raise ForbiddenError(
                "Where results lie is not yours to choose; leave it out.", field=f"spec.output.{field}"
            )
    name = output.get("name")
    if isinstance(name, str) and name != DEFAULT_OUTPUT_NAME and not name.startswith(OWN_FOLDER):
        message = f"The names of your results begin with {OWN_FOLDER}; leave it out, or put that in front."
        raise ForbiddenError(message, field="spec.output.name")


def _profile(caller: Caller) -> str:
    return "the default profile" if caller.profile is None else f"the profile {caller.profile}"
