"""Two runs of prepare for one revision, between which the inputs behind its URIs changed.

A lost node keeps a pod alive while its replacement runs, or one prepare follows another. However their operations
interleave: a video is made from the inputs of one run only, and every chunk is stored under the key of its own inputs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.worker.stages.conftest import stage_input_factory, write_voice
from tests.worker.stages.interleaved_pods import MemoryStore, Pod

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import PLAN_NAME, Plan
from talkingvideo_api.reports import PrepareReport
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.folders import prepared_folder
from talkingvideo_worker.stages.prepare.process import process
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.render import render
from talkingvideo_worker.stages.stitch import stitch

pytestmark = pytest.mark.media

OF_ANOTHER_RELEASE = b'{"version":1,"picture":"picture.png"}'


@dataclass(frozen=True)
class Inputs:
    """The inputs behind the URIs at one time, and what they result in.

    Attributes:
        scratch: Scratch folder of a pod that has fetched and processed them, but not published.
        key: Key of the only chunk.
        segment: Its encoded frames.
        film: The result.
    """

    scratch: Path
    key: str
    segment: bytes
    film: bytes


@dataclass(frozen=True)
class Revision:
    """A revision that was prepared twice, with different inputs behind the same URIs."""

    spec: dict[str, Any]
    portrait: Path
    voice: Path
    first: Inputs
    second: Inputs

    def context(self, folder: Path, workspace: MemoryStore, scratch: Path) -> StageContext:
        return context_of(stage_input_factory(folder, self.portrait, self.voice)(**self.spec), workspace, scratch)

    def publishing(self, folder: Path, inputs: Inputs) -> Callable[[MemoryStore], PrepareReport]:
        """The last step of a preparation."""
        return lambda workspace: publish(self.context(folder, workspace, inputs.scratch))

    def make_video(self, folder: Path, workspace: MemoryStore) -> Inputs:
        """Render and stitch what is in a workspace; returns the inputs from which the whole result was made."""
        context = self.context(folder, workspace, folder / "scratch")
        render(context, 0)
        stitch(context)
        return self.owner(folder)

    def owner(self, folder: Path) -> Inputs:
        film = next(folder.glob("out/*.mp4")).read_bytes()
        owner = self.first if film == self.first.film else self.second
        assert film == owner.film
        for path in folder.glob("work/*/chunks/*/segment-*.mp4"):
            (expected,) = (inputs for inputs in (self.first, self.second) if inputs.key == path.parent.name)
            assert path.read_bytes() == expected.segment
        return owner


def context_of(stage_input: StageInput, workspace: MemoryStore, scratch: Path) -> StageContext:
    mounts = Mounts(scratch / "claims", scratch / "configmaps", scratch / "headers")
    context = StageContext(stage_input, mounts, scratch, LogReporter())
    context.__dict__["workspace"] = workspace
    return context


@pytest.fixture(scope="session")
def revision(tmp_path_factory: pytest.TempPathFactory, portrait: Path) -> Revision:
    folder = tmp_path_factory.mktemp("revision")
    shutil.copy(portrait, source := folder / "portrait.png")
    voice, answer, mask = folder / "voice.wav", folder / "answer.wav", folder / "mask.png"
    speakers = [
        {"audio": {"uri": voice.as_uri()}, "mask": {"uri": mask.as_uri()}},
        {"audio": {"uri": answer.as_uri()}},
    ]
    spec = {"speech": {"speakers": speakers}, "video": {"maxFrames": 2}}

    def prepared(name: str, seed: int, columns: slice) -> Inputs:
        write_voice(voice, 2, seed=seed)
        write_voice(answer, 2, seed=seed + 1)
        painted = np.zeros((512, 512), np.uint8)
        painted[:, columns] = 255
        Image.fromarray(painted).save(mask)
        subfolder = folder / name
        context = context_of(
            stage_input_factory(subfolder, source, voice)(**spec), MemoryStore(), subfolder / "scratch"
        )
        fetch(context)
        process(context)
        shutil.copytree(context.scratch, subfolder / "unpublished")
        publish(context)
        render(context, 0)
        stitch(context)
        (segment,) = subfolder.glob("work/*/chunks/*/segment-*.mp4")
        film = next(subfolder.glob("out/*.mp4")).read_bytes()
        return Inputs(subfolder / "unpublished", segment.parent.name, segment.read_bytes(), film)

    first = prepared("first", 7, slice(0, 300))
    Image.open(source).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(source)
    second = prepared("second", 70, slice(200, 512))
    assert first.key != second.key
    assert first.film != second.film
    return Revision(spec, source, voice, first, second)


def operations(revision: Revision, folder: Path, before: dict[str, bytes]) -> int:
    """Number of operations of a publication on a store that has some files before."""
    pod = Pod(before, revision.publishing(folder, revision.second))
    pod.finish()
    return pod.operations


def prepared_by(inputs: Inputs) -> dict[str, bytes]:
    folder = prepared_folder(inputs.scratch)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def planned_content(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a workspace's plan, by the names that stages use."""
    plan = Plan.model_validate_json(files[PLAN_NAME])
    return {PLAN_NAME: files[PLAN_NAME]} | {name: files[plan.stored_name(name)] for name in plan.files}


@pytest.mark.parametrize(
    "before",
    [
        lambda _: {},
        lambda _: {PLAN_NAME: OF_ANOTHER_RELEASE},
        lambda revision: {PLAN_NAME: prepared_by(revision.first)[PLAN_NAME]},
    ],
    ids=["empty", "plan of another release", "plan that has lost its files"],
)
def test_however_two_preparations_interleave_the_plan_names_the_files_of_one(
    revision: Revision, tmp_path: Path, before: Callable[[Revision], dict[str, bytes]]
) -> None:
    every = operations(revision, tmp_path, before(revision)) + 2
    owners = set()
    for first_steps in range(every):
        for second_steps in range(every):
            files = before(revision)
            pods = [Pod(files, revision.publishing(tmp_path, inputs)) for inputs in (revision.first, revision.second)]
            for pod, steps in zip(pods, (first_steps, second_steps), strict=True):
                for _ in range(steps):
                    pod.step()
            reports = [pod.finish() for pod in pods]
            (owner,) = (
                inputs for inputs in (revision.first, revision.second) if prepared_by(inputs) == planned_content(files)
            )
            owners.add(owner.key)
            if not before(revision):
                plan = Plan.model_validate_json(files[PLAN_NAME])
                assert [report.plan_digest for report in reports if isinstance(report, PrepareReport)] == [
                    plan.digest
                ] * 2
    assert owners == {revision.first.key, revision.second.key}


def test_a_video_is_wholly_of_one_preparation_whenever_the_other_one_comes(revision: Revision, tmp_path: Path) -> None:
    for steps in range(operations(revision, tmp_path / "counted", {}) + 1):
        folder, workspace = tmp_path / str(steps), MemoryStore()
        slow = Pod(workspace.files, revision.publishing(folder, revision.first))
        for _ in range(steps):
            slow.step()
        Pod(workspace.files, revision.publishing(folder, revision.second)).finish()
        slow.finish()
        revision.make_video(folder, workspace)


def test_a_preparation_that_comes_while_a_chunk_is_rendered_or_joined_changes_nothing(
    revision: Revision, tmp_path: Path
) -> None:
    """Not even when the plan has been removed, so that the second preparation writes its own."""
    published = MemoryStore()
    revision.publishing(tmp_path / "first", revision.first)(published)
    making = Pod(dict(published.files), lambda store: revision.make_video(tmp_path / "counted", store))
    making.finish()
    for steps in range(making.operations):
        folder, files = tmp_path / str(steps), dict(published.files)
        making = Pod(files, lambda store, folder=folder: revision.make_video(folder, store))  # type: ignore[misc]
        for _ in range(steps):
            making.step()
        del files[PLAN_NAME]
        Pod(files, revision.publishing(folder, revision.second)).finish()
        try:
            owner = making.finish()
        except StageError as error:
            assert error.code is ErrorCode.WORKSPACE
            assert not error.retryable
            owner = revision.make_video(folder, MemoryStore(files=files))
        if not steps:
            assert owner is revision.second
        revision.owner(folder)
