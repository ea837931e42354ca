"""What a caller's spec may say, so that its video leaves those of others alone."""

from __future__ import annotations

from typing import Any

import pytest

from talkingvideo_gateway.errors import ForbiddenError
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.videos.ownership import require_own

ALICE = Caller("alice", "films", profile="fast")
NOBODYS = Caller("bob", "films")
ADMINISTRATOR = Caller("admin", "films", sees_namespace=True)

ALLOWED: list[dict[str, Any]] = [
    {},
    {"profile": "fast"},
    {"output": None},
    {"output": {"overwrite": True, "loudness": -16}},
    {"output": {"name": "{namespace}/{name}-{revision}"}},
    {"output": {"name": "{namespace}/infinitetalk/jobs/{name}-{revision}"}},
    {"output": {"name": "{name}-{revision}", "pvc": {"claim": "media", "path": "out"}}},
    {"output": {"store": "archive", "s3": {"prefix": "x"}}},
    {"output": "not even an object"},
]

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"profile": "large"}, "spec.profile"),
    ({"profile": ""}, "spec.profile"),
    ({"output": {"name": "{namespace}/hello-1234"}}, "spec.output.name"),
    ({"output": {"name": "films/hello-1234"}}, "spec.output.name"),
    ({"output": {"name": "{namespace}/{name}lo-1234"}}, "spec.output.name"),
    ({"output": {"name": "{namespace}/x{name}-{revision}"}}, "spec.output.name"),
    ({"output": {"name": "{namespace}/{name}-{revision}/x"}}, "spec.output.name"),
    ({"output": {"name": "{namespace}/{name}/take-{date}"}}, "spec.output.name"),
    ({"output": {"name": "{namespace}/{name}"}}, "spec.output.name"),
    ({"output": {"name": ""}}, "spec.output.name"),
    ({"output": {"name": "x", "pvc": {"claim": "media"}}}, "spec.output.name"),
]


@pytest.mark.parametrize("spec", ALLOWED, ids=str)
def test_a_spec_that_stays_with_its_caller_is_allowed(spec: dict[str, Any]) -> None:
    require_own(ALICE, spec)


@pytest.mark.parametrize(("spec", "field"), REFUSED, ids=str)
def test_a_spec_that_could_reach_others_is_refused_with_its_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(ForbiddenError) as refused:
        require_own(ALICE, spec)
    assert refused.value.field == field
    require_own(ADMINISTRATOR, spec)


def test_a_caller_without_a_profile_has_the_default_one() -> None:
    with pytest.raises(ForbiddenError, match="the default profile"):
        require_own(NOBODYS, {"profile": "fast"})
