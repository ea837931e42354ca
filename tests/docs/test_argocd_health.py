"""Argo CD's view of a TalkingVideo, by the Lua version that Argo CD runs (5.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lupa.lua51 import LuaRuntime

from talkingvideo_api.conditions import Phase, Reason
from talkingvideo_operator.planning.conditions import conditions

SCRIPT = (Path(__file__).parents[2] / "docs" / "argocd" / "health.lua").read_text()


def health_of(document: dict[str, Any]) -> tuple[str, str]:
    """Status and message; the object is the global `obj`, as in Argo CD."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(document, recursive=True)
    found = lua.execute(SCRIPT)
    return found["status"], found["message"]


def video(phase: Phase, *, generation: int = 3, observed: int = 3) -> dict[str, Any]:
    """An object with the conditions that the operator writes for a phase."""
    written = conditions((), phase, Reason.ACCEPTED, "a sentence", observed, datetime(2031, 1, 1, tzinfo=UTC))
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": [condition.to_dict() for condition in written]},
    }


@pytest.mark.parametrize(
    ("phase", "health"),
    [
        (Phase.PENDING, "Progressing"),
        (Phase.PREPARING, "Progressing"),
        (Phase.RENDERING, "Progressing"),
        (Phase.STITCHING, "Progressing"),
        (Phase.SUCCEEDED, "Healthy"),
        (Phase.FAILED, "Degraded"),
        (Phase.SUSPENDED, "Suspended"),
        (Phase.CANCELLED, "Suspended"),
    ],
)
def test_every_phase_has_its_health(phase: Phase, health: str) -> None:
    assert health_of(video(phase)) == (health, "Accepted: a sentence")


def test_an_edited_object_is_progressing_until_the_operator_has_seen_it() -> None:
    assert health_of(video(Phase.SUCCEEDED, generation=4))[0] == "Progressing"


@pytest.mark.parametrize("status", [None, {"observedGeneration": -1}])
def test_a_new_object_is_progressing(status: dict[str, Any] | None) -> None:
    document: dict[str, Any] = {"metadata": {"generation": 1}}
    assert health_of(document if status is None else document | {"status": status})[0] == "Progressing"
