"""A run on one machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.objects import video

from talkingvideo_api.errors import StageError
from talkingvideo_worker.local import run
from talkingvideo_worker.local.documents import Documents
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.local.run import LocalMounts, prepare_locally, run_locally
from talkingvideo_worker.local.stage_inputs import make_stage_input
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext


def test_every_run_plans_in_a_workspace_of_its_own_and_shares_finished_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(run, "_prepare", lambda context: seen.append(stores(context)))
    stage_input = make_stage_input(video(), "preview", LocalLocations(tmp_path / "out", tmp_path / "work"))
    for _ in range(2):
        prepare_locally(stage_input, LocalMounts({}, Documents((), {})), LogReporter())
    (first, chunks), (second, others) = seen
    assert first != second
    assert not first.startswith(tmp_path.as_uri())
    assert chunks == others == stage_input.locations.chunks


def test_a_plan_is_kept_where_somebody_else_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def prepare(context: StageContext) -> None:
        seen.append(context.workspace.uri("").rstrip("/"))
        raise StageError.invalid("enough")

    monkeypatch.setattr(run, "_prepare", prepare)
    stage_input = make_stage_input(video(), "preview", LocalLocations(tmp_path / "out", tmp_path / "work"))
    with pytest.raises(StageError, match="enough"):
        run_locally(stage_input, LocalMounts({}, Documents((), {})), LogReporter(), plan_folder=tmp_path / "plan")
    assert seen == [(tmp_path / "plan").as_uri()]


def stores(context: StageContext) -> tuple[str, str]:
    return context.workspace.uri("").rstrip("/"), context.chunks.uri("").rstrip("/")
