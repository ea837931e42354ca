"""Delivery of the result: of several stages one delivers it, once, and a repeated stage repeats the report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.worker.render_values import sampling_values
from tests.worker.stages.conftest import RenderedVideo, StageInputFactory, StoreWithoutDelete

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.reports import decode_bitmap
from talkingvideo_api.spec import Lora, Render
from talkingvideo_api.values import EffectiveLora
from talkingvideo_clients.stores.local import LocalStore
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.render import render
from talkingvideo_worker.stages.result import _url
from talkingvideo_worker.stages.result_files import ARTIFACTS, ArtifactFile
from talkingvideo_worker.stages.stitch import stitch
from talkingvideo_worker.stages.workspace import require_plan

pytestmark = pytest.mark.media


class KilledError(BaseException):
    """Stands for SIGKILL."""


class InterruptedStore(LocalStore):
    """Calls a function before the write with a number."""

    def __init__(self, root: Path, number: int, interruption: Callable[[], None]) -> None:
        super().__init__(root)
        self._left, self._interruption = number, interruption

    def put(self, name: str, source: Path) -> None:
        self._count()
        super().put(name, source)

    def put_new(self, name: str, source: Path) -> bool:
        self._count()
        return super().put_new(name, source)

    def _count(self) -> None:
        if self._left == 0:
            self._interruption()
        self._left -= 1


class InterruptedReads(LocalStore):
    """Calls a function before files whose names have a prefix are fetched."""

    def __init__(self, root: Path, prefix: str, interruption: Callable[[], None]) -> None:
        super().__init__(root)
        self._prefix, self._interruption = prefix, interruption

    def get(self, name: str, destination: Path, limit: int) -> None:
        if name.startswith(self._prefix):
            self._interruption()
        super().get(name, destination, limit)


def interrupted(context: StageContext, number: int, interruption: Callable[[], None]) -> StageContext:
    """The same context, with an interruption before a write of the result."""
    context.__dict__["result"] = (InterruptedStore(film(context).parent, number, interruption), film(context).name)
    return context


def film(context: StageContext) -> Path:
    """Path of the result without suffix."""
    return Path(context.stage_input.locations.result.removeprefix("file://"))


def files(context: StageContext) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in film(context).parent.iterdir()}


def killed() -> None:
    raise KilledError


def _stitched(context: StageContext) -> None:
    stitch(context)


def test_a_stitch_that_is_killed_between_any_two_writes_is_completed_by_the_next(
    rendered: RenderedVideo, tmp_path: Path
) -> None:
    whole = rendered.context(tmp_path / "whole")
    report = stitch(whole)
    for writes in range(4):
        folder = tmp_path / str(writes)
        with pytest.raises(KilledError):
            stitch(interrupted(rendered.context(folder), writes, killed))
        later = rendered.context(folder)
        publish(later)
        assert stitch(later).sha256 == report.sha256
        delivered = files(later)
        assert sorted(delivered) == ["film.jpg", "film.json", "film.mp4"]
        assert delivered["film.mp4"] == files(whole)["film.mp4"]


def test_another_file_of_that_name_is_refused_before_any_gpu_is_asked_for(
    rendered: RenderedVideo, tmp_path: Path
) -> None:
    context = rendered.context(tmp_path)
    film(context).parent.mkdir()
    film(context).with_suffix(".mp4").write_bytes(b"another film")
    for stage in (publish, stitch):
        with pytest.raises(StageError, match="already exists") as refused:
            stage(context)
        assert (refused.value.code, refused.value.field) == (ErrorCode.OUTPUT_EXISTS, "spec.output.name")
    assert files(context) == {"film.mp4": b"another film"}


def test_another_file_of_that_name_is_replaced_on_demand(rendered: RenderedVideo, tmp_path: Path) -> None:
    context = rendered.context(tmp_path, overwrite=True)
    film(context).parent.mkdir()
    film(context).with_suffix(".mp4").write_bytes(b"an older film")
    publish(context)
    assert stitch(context).bytes == film(context).with_suffix(".mp4").stat().st_size


def test_an_existing_result_of_the_same_content_is_taken_over_without_its_chunks(
    rendered: RenderedVideo, tmp_path: Path
) -> None:
    first = rendered.context(tmp_path)
    report = stitch(first)
    shutil.copytree(tmp_path / "work" / "hello", tmp_path / "work" / "again")
    shutil.rmtree(tmp_path / "chunks")
    (tmp_path / "chunks").mkdir()
    second = rendered.context(tmp_path, "again")
    before = files(first)
    prepared = publish(second)
    assert decode_bitmap(prepared.missing, len(prepared.chunk_frames)) == []
    assert stitch(second) == report
    assert files(second) == before


def test_a_result_that_was_removed_is_made_again(rendered: RenderedVideo, tmp_path: Path) -> None:
    report = stitch(rendered.context(tmp_path))
    shutil.rmtree(tmp_path / "out")
    assert stitch(rendered.context(tmp_path)) == report
    assert (tmp_path / "out" / "film.mp4").stat().st_size == report.bytes


def with_consent(rendered: RenderedVideo, folder: Path) -> StageContext:
    """Another video with the same result name."""
    shutil.copytree(folder / "work" / "hello", folder / "work" / "other")
    other = rendered.context(folder, "other")
    spec = other.stage_input.spec.model_copy(update={"consent_reference": "contract 17"})
    return StageContext(
        other.stage_input.model_copy(update={"spec": spec}), other.mounts, other.scratch, other.reporter
    )


def test_of_two_videos_for_one_name_the_first_stays_with_its_own_description(
    rendered: RenderedVideo, tmp_path: Path
) -> None:
    mine = rendered.context(tmp_path)
    other = with_consent(rendered, tmp_path)
    with pytest.raises(StageError, match="another stage") as refused:
        stitch(interrupted(mine, 1, partial(_stitched, other)))
    assert refused.value.code is ErrorCode.OUTPUT_EXISTS
    assert json.loads(files(mine)["film.json"])["consentReference"] == "contract 17"


def test_a_video_that_comes_while_another_one_is_joined_keeps_its_description(
    rendered: RenderedVideo, tmp_path: Path
) -> None:
    mine = rendered.context(tmp_path)
    other = with_consent(rendered, tmp_path)
    mine.__dict__["workspace"] = InterruptedReads(tmp_path / "work" / "hello", "sound-", partial(_stitched, other))
    with pytest.raises(StageError, match="already exists") as refused:
        stitch(mine)
    assert refused.value.code is ErrorCode.OUTPUT_EXISTS
    assert json.loads(files(mine)["film.json"])["consentReference"] == "contract 17"


def test_of_two_stages_that_join_one_video_the_second_takes_over_what_the_first_has_made(
    rendered: RenderedVideo, tmp_path: Path
) -> None:
    mine, twin = rendered.context(tmp_path), rendered.context(tmp_path)
    mine.__dict__["workspace"] = InterruptedReads(tmp_path / "work" / "hello", "sound-", partial(_stitched, twin))
    report = stitch(interrupted(mine, 0, killed))
    assert stitch(twin) == report


def test_an_additional_artifact_needs_only_a_row(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = ArtifactFile("captions", ".vtt", "text/vtt", lambda video, path: path.write_text(f"{video.plan.frames}"))
    for module in ("stitch", "result"):
        monkeypatch.setattr(f"talkingvideo_worker.stages.{module}.ARTIFACTS", (*ARTIFACTS, captions))
    context = rendered.context(tmp_path)
    report = stitch(context)
    assert report.artifacts["captions"].uri == f"{report.uri.removesuffix('.mp4')}.vtt"
    assert files(context)["film.vtt"] == b"6"
    film(context).with_suffix(".vtt").unlink()
    assert stitch(rendered.context(tmp_path)) == report
    assert "film.vtt" in files(context)


def test_the_description_says_where_a_lora_came_from_without_its_signature(
    rendered: RenderedVideo, tmp_path: Path
) -> None:
    uri = "https://example.com/style.safetensors?X-Amz-Signature=secret"
    context = rendered.context(tmp_path, sampling=sampling_values(loras=(EffectiveLora(index=0, scale=0.5),)))
    render = Render(loras=[Lora(uri=uri, scale=0.5)])
    spec = context.stage_input.spec.model_copy(update={"render": render})
    context = replace(context, stage_input=context.stage_input.model_copy(update={"spec": spec}))
    planned = require_plan(rendered.context(tmp_path))
    plan = planned.model_copy(update={"effective_digest": context.stage_input.effective.digest})
    (tmp_path / "work" / "hello" / "plan.json").write_text(plan.to_json())
    stitch(context)
    described = files(context)["film.json"].decode()
    assert "secret" not in described
    (lora,) = json.loads(described)["loras"]
    assert lora == {"source": "https://example.com/style.safetensors", "scale": 0.5}


def test_a_chunk_that_lost_a_segment_is_rendered_again(rendered: RenderedVideo, tmp_path: Path) -> None:
    context = rendered.context(tmp_path)
    (segment,) = (tmp_path / "chunks").glob("*/segment-0000.mp4")
    segment.unlink()
    with pytest.raises(StageError, match="segment 0 is missing") as refused:
        stitch(context)
    assert refused.value.code is ErrorCode.WORKSPACE
    assert not refused.value.retryable, "another attempt finds the same files"
    assert decode_bitmap(publish(context).missing, 1) == [0]
    render(context, 0)
    assert stitch(context).frame_count == 6


def test_a_chunk_that_cannot_be_marked_unfinished_is_reported(rendered: RenderedVideo, tmp_path: Path) -> None:
    """Otherwise it would count as finished for ever, and the missing permission would stay unknown."""
    context = rendered.context(tmp_path)
    context.__dict__["chunks"] = StoreWithoutDelete(context.chunks)
    (segment,) = (tmp_path / "chunks").glob("*/segment-0000.mp4")
    segment.unlink()
    with pytest.raises(StageError, match=r"may not delete .*/done\.json") as refused:
        stitch(context)
    assert refused.value.code is ErrorCode.STORE_ACCESS


def test_the_public_url_quotes_what_a_browser_would_read_otherwise(
    new_stage_input: StageInputFactory, tmp_path: Path
) -> None:
    made = new_stage_input()
    locations = made.locations.model_copy(
        update={"result": "s3://media/ns/a b?#%20ü", "public_base_url": "https://cdn.example.com/"}
    )
    mounts = Mounts(tmp_path / "claims", tmp_path / "configmaps", tmp_path / "headers")
    context = StageContext(made.model_copy(update={"locations": locations}), mounts, tmp_path, LogReporter())
    assert _url(context) == "https://cdn.example.com/ns/a%20b%3F%23%2520%C3%BC.mp4"
