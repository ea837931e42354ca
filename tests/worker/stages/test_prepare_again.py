"""A prepare that finds the workspace of an earlier one."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.worker.stages.conftest import RenderedVideo, StoreWithoutDelete, write_voice

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import PLAN_NAME
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.folders import prepared_folder
from talkingvideo_worker.stages.prepare.process import process
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.render import render
from talkingvideo_worker.stages.stitch import stitch
from talkingvideo_worker.stages.workspace import read_plan, require_plan

pytestmark = pytest.mark.media


def prepare(context: StageContext) -> None:
    fetch(context)
    process(context)
    publish(context)


def workspace_folder(context: StageContext) -> Path:
    return Path(context.stage_input.locations.workspace.removeprefix("file://"))


def workspace(context: StageContext) -> dict[str, bytes]:
    folder = workspace_folder(context)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_plan_of_another_release_is_replaced(rendered: RenderedVideo, tmp_path: Path) -> None:
    context = rendered.context(tmp_path)
    before = workspace(context)
    path = workspace_folder(context) / PLAN_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 1}))
    with pytest.raises(StageError, match="by another release") as refused:
        require_plan(context)
    assert refused.value.code is ErrorCode.WORKSPACE
    prepare(context)
    assert workspace(context) == before


def test_files_of_a_published_plan_stay_though_an_input_changed(rendered: RenderedVideo, tmp_path: Path) -> None:
    """If the workspace is a volume, the containers that fetch and process cannot see that there is a plan."""
    before = workspace(rendered.context(tmp_path))
    voice = write_voice(tmp_path / "other.wav", seconds=2)
    spec = {**rendered.spec, "speech": {"speakers": [{"audio": {"uri": voice.as_uri()}}]}}
    unaware = RenderedVideo(rendered.folder, spec).context(tmp_path, "unseen")
    fetch(unaware)
    process(unaware)
    context = rendered.context(tmp_path)
    publish(StageContext(context.stage_input, context.mounts, unaware.scratch, context.reporter))
    assert workspace(context) == before


def test_a_link_among_what_was_prepared_is_not_followed(rendered: RenderedVideo, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("AWS_SECRET_ACCESS_KEY=…")
    context = rendered.context(tmp_path, "attacked")
    fetch(context)
    process(context)
    sound = prepared_folder(context.scratch) / "sound.m4a"
    sound.unlink()
    sound.symlink_to(tmp_path / "secret")
    with pytest.raises(StageError, match="not a plain file"):
        publish(context)
    assert not [content for content in workspace(context).values() if b"SECRET" in content]


def test_a_plan_made_with_other_values_is_replaced(rendered: RenderedVideo, tmp_path: Path) -> None:
    """A spec that is edited and then reverted has the same workspace, but the profile's preset may have changed."""
    before = require_plan(rendered.context(tmp_path))
    context = rendered.context(tmp_path, seed=7)
    for stage in (partial(render, index=0), stitch):
        with pytest.raises(StageError, match="other effective values") as refused:
            stage(context)
        assert refused.value.code is ErrorCode.WORKSPACE
        assert not refused.value.retryable, "another attempt finds the same plan"
    prepare(context)
    assert require_plan(context).chunks[0].key != before.chunks[0].key
    stored = rendered.context(tmp_path, overwrite=True)
    prepare(stored)
    assert require_plan(stored) == before


def test_a_plan_that_is_removed_while_prepare_runs_is_made_by_the_next_attempt(
    rendered: RenderedVideo, tmp_path: Path
) -> None:
    context = rendered.context(tmp_path)
    before = workspace(context)
    fetch(context)
    process(context)
    context.workspace.delete(PLAN_NAME)
    with pytest.raises(StageError, match=r"plan\.json or one of its files was removed while prepare ran") as failure:
        publish(context)
    assert failure.value.code is ErrorCode.WORKSPACE
    assert failure.value.retryable
    prepare(rendered.context(tmp_path))
    assert workspace(context) == before


@pytest.mark.parametrize("stage", [partial(render, index=0), stitch], ids=["render", "stitch"])
def test_what_the_workspace_has_lost_is_prepared_again(
    rendered: RenderedVideo, tmp_path: Path, stage: Callable[[StageContext], object]
) -> None:
    """A lifecycle rule removes files one after the other, and the plan perhaps last, which is useless without them.

    Recovery also works without the permission to delete from the store.
    """
    context = rendered.context(tmp_path)
    context.__dict__["workspace"] = StoreWithoutDelete(context.workspace)
    before = workspace(context)
    for name in before.keys() - {PLAN_NAME}:
        (workspace_folder(context) / name).unlink()
    for path in (tmp_path / "chunks").glob("*/*") if stage is not stitch else ():
        path.unlink()
    with pytest.raises(StageError, match="is missing from the workspace") as failure:
        stage(context)
    assert failure.value.code is ErrorCode.WORKSPACE
    assert not failure.value.retryable, "another attempt finds the same files"
    prepare(later := rendered.context(tmp_path))
    assert workspace(later) == before
    stage(later)


def test_a_damaged_file_of_a_plan_is_prepared_again(rendered: RenderedVideo, tmp_path: Path) -> None:
    context = rendered.context(tmp_path)
    before = workspace(context)
    (picture,) = workspace_folder(context).glob("picture-*")
    picture.write_bytes(b"half of a pict")
    prepare(context)
    assert workspace(context) == before


def test_a_complete_plan_is_not_made_again(rendered: RenderedVideo, tmp_path: Path) -> None:
    context = rendered.context(tmp_path)
    prepare(context)
    assert not prepared_folder(context.scratch).exists()


@pytest.mark.parametrize("name", ["../chunks/x", "/etc/passwd", "engine/../../x", ".hidden", ""])
def test_a_plan_whose_names_leave_the_folder_is_invalid(rendered: RenderedVideo, tmp_path: Path, name: str) -> None:
    context = rendered.context(tmp_path)
    path = workspace_folder(context) / PLAN_NAME
    path.write_text(json.dumps({**(plan := json.loads(path.read_text())), "files": {**plan["files"], name: "0" * 64}}))
    assert read_plan(context) is None
