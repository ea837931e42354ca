"""A prepare that runs again, and what it finds in the workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.worker.stages.conftest import Rendered, write_voice

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import PLAN_NAME
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.folders import prepared_folder
from talkingvideo_worker.stages.prepare.process import process
from talkingvideo_worker.stages.prepare.publish import publish

pytestmark = pytest.mark.media


def prepare(context: StageContext) -> None:
    fetch(context)
    process(context)
    publish(context)


def workspace(context: StageContext) -> dict[str, bytes]:
    folder = Path(context.order.places.workspace.removeprefix("file://"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_plan_of_another_release_is_made_anew(rendered: Rendered, tmp_path: Path) -> None:
    context = rendered.context(tmp_path)
    before = workspace(context)
    path = Path(context.order.places.workspace.removeprefix("file://")) / PLAN_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    with pytest.raises(StageError, match="another release") as refused:
        context.require_plan()
    assert refused.value.code is ErrorCode.WORKSPACE
    prepare(context)
    assert workspace(context) == before


def test_files_of_a_published_plan_stay_though_an_input_changed(rendered: Rendered, tmp_path: Path) -> None:
    """Where the workspace is a volume, the containers that fetch and process cannot see that there is a plan."""
    before = workspace(rendered.context(tmp_path))
    voice = write_voice(tmp_path / "other.wav", seconds=2)
    spec = {**rendered.spec, "speech": {"speakers": [{"audio": {"uri": voice.as_uri()}}]}}
    blind = Rendered(rendered.folder, spec).context(tmp_path, "unseen")
    fetch(blind)
    process(blind)
    seeing = rendered.context(tmp_path)
    publish(StageContext(seeing.order, seeing.mounts, blind.scratch, seeing.reporter))
    assert workspace(seeing) == before


def test_a_link_among_what_was_prepared_is_not_followed(rendered: Rendered, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("AWS_SECRET_ACCESS_KEY=…")
    context = rendered.context(tmp_path, "attacked")
    fetch(context)
    process(context)
    (prepared_folder(context.scratch) / "engine" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(StageError, match="not a plain file"):
        publish(context)
    assert workspace(context) == {}


@pytest.mark.parametrize("name", ["../chunks/x", "/etc/passwd", "engine/../../x", ".hidden", ""])
def test_a_plan_whose_names_lead_elsewhere_is_none(rendered: Rendered, tmp_path: Path, name: str) -> None:
    context = rendered.context(tmp_path)
    path = Path(context.order.places.workspace.removeprefix("file://")) / PLAN_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "engineFiles": [name]}))
    assert context.read_plan() is None
