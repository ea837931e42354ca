"""A compromised ``process`` and prepared stage inputs: what they cannot make the steps with credentials do."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.worker.stages.conftest import RenderedVideo
from typer.testing import CliRunner

from talkingvideo_api.errors import ERRORS, ErrorCode, StageError
from talkingvideo_api.plan import PLAN_NAME
from talkingvideo_api.reports import FailureReport, decode_report
from talkingvideo_worker.cli import app
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.folders import prepared_folder
from talkingvideo_worker.stages.prepare.process import process
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.workspace import get_prepared, require_plan

pytestmark = pytest.mark.media

SECRET = "AWS_SECRET_ACCESS_KEY"


@dataclass(frozen=True)
class Processed:
    """What ``process`` wrote, before an attack."""

    rendered: RenderedVideo
    scratch: Path

    def context(self, folder: Path) -> StageContext:
        """A context in which a copy of it waits to be published."""
        context = self.rendered.context(folder, "attacked")
        return replace(context, scratch=Path(shutil.copytree(self.scratch, folder / "scratch")))


@pytest.fixture(scope="module")
def processed(rendered: RenderedVideo, tmp_path_factory: pytest.TempPathFactory) -> Processed:
    context = rendered.context(tmp_path_factory.mktemp("processed"), "attacked")
    fetch(context)
    process(context)
    return Processed(rendered, context.scratch)


def stored(context: StageContext) -> list[str]:
    return [each.name for each in context.workspace.list()]


def test_only_what_the_plan_names_is_published(processed: Processed, tmp_path: Path) -> None:
    context = processed.context(tmp_path)
    (prepared_folder(context.scratch) / "more").write_text("anything")
    publish(context)
    plan = json.loads((prepared_folder(context.scratch) / PLAN_NAME).read_text())
    assert len(stored(context)) == len(plan["files"]) + 1
    assert not [name for name in stored(context) if "more" in name]


def _linked(folder: Path) -> None:
    (folder / "sound.m4a").unlink()
    (folder / "sound.m4a").symlink_to(folder.parents[1] / "secret")


def _linked_folder(folder: Path) -> None:
    shutil.move(folder / "engine", folder / "moved")
    (folder / "engine").symlink_to("moved")


def _linked_plan(folder: Path) -> None:
    (folder / PLAN_NAME).rename(folder / "p")
    (folder / PLAN_NAME).symlink_to("p")


FILES: dict[str, Callable[[Path], Any]] = {
    "a file is a link": _linked,
    "a folder is a link": _linked_folder,
    "other content": lambda folder: (folder / "sound.m4a").write_bytes(b"x"),
    "the plan is a link": _linked_plan,
    "the plan is too large": lambda folder: (folder / PLAN_NAME).write_bytes(b" " * (17 << 20)),
    "the plan is no JSON": lambda folder: (folder / PLAN_NAME).write_bytes(b"\xff{"),
    "a deep plan": lambda folder: (folder / PLAN_NAME).write_bytes(b'{"found":' + b"[" * 100_000),
}


@pytest.mark.parametrize("attack", FILES.values(), ids=list(FILES))
def test_files_other_than_those_that_were_planned_are_not_published(
    processed: Processed, tmp_path: Path, attack: Callable[[Path], Any]
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    context = processed.context(tmp_path)
    attack(prepared_folder(context.scratch))
    with pytest.raises(StageError, match="refused") as refusal:
        publish(context)
    assert (refusal.value.code, refusal.value.retryable) == (ErrorCode.INTERNAL, False)
    assert PLAN_NAME not in stored(context)
    workspace = (path for path in (tmp_path / "work" / "attacked").rglob("*") if path.is_file())
    assert not [path for path in workspace if SECRET in path.read_text("latin-1")]


def _file(plan: dict[str, Any], name: str, sha256: str = "0" * 64, used_by: str = "render") -> None:
    plan["files"][name] = {"sha256": sha256, "usedBy": [used_by]}


PLANS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "other values": lambda plan: plan.update(effectiveDigest="0" * 64),
    "a name outside": lambda plan: _file(plan, "../chunks/x"),
    "an absolute name": lambda plan: _file(plan, "/etc/passwd"),
    "an input as a file": lambda plan: _file(plan, "inputs/image-0"),
    "a LoRA that the spec lacks": lambda plan: _file(plan, "loras/0.safetensors"),
    "a digest that is none": lambda plan: _file(plan, "x", sha256="../../x"),
    "a file for another stage": lambda plan: _file(plan, "picture.png", used_by="stitch"),
    "a thousand files": lambda plan: plan["files"].update({f"f{n}": plan["files"]["sound.m4a"] for n in range(1000)}),
    "no sound": lambda plan: plan["files"].pop("sound.m4a"),
    "no picture": lambda plan: plan["files"].pop("picture.png"),
    "a picture that is a video": lambda plan: plan.update(picture="picture.mp4"),
    "no tracks": lambda plan: plan.update(tracks=[]),
    "a key that is a path": lambda plan: plan["chunks"][0].update(key="../../other"),
    "a chunk that starts late": lambda plan: plan["chunks"][0].update(startFrame=1),
    "a chunk twice": lambda plan: plan.update(chunks=plan["chunks"] * 2),
    "501 chunks": lambda plan: plan.update(chunks=plan["chunks"] * 501),
    "no chunks": lambda plan: plan.update(chunks=[]),
    "too many frames": lambda plan: (plan.update(frames=10**9), plan["chunks"][0].update(windows=[10**9])),
    "a window too long": lambda plan: (plan.update(frames=5000), plan["chunks"][0].update(windows=[5000])),
    "fewer frames than chunks have": lambda plan: plan.update(frames=5),
    "a negative window": lambda plan: plan["chunks"][0].update(windows=[7, -1]),
    "another size": lambda plan: plan.update(width=64, height=64),
    "a huge size": lambda plan: plan.update(deliveredWidth=10**9),
    "an endless sound": lambda plan: plan.update(soundSeconds="Infinity"),
    "another version": lambda plan: plan.update(version=99),
    "an unknown field": lambda plan: plan.update(command="rm"),
    "a long warning": lambda plan: plan.update(warnings=["x" * 10_000]),
    "no source": lambda plan: plan.update(found={}),
    "a source that is text": lambda plan: plan.update(found={"input": {"source": {"width": "x", "height": None}}}),
}


@pytest.mark.parametrize("attack", PLANS.values(), ids=list(PLANS))
def test_a_plan_that_the_stage_input_does_not_allow_is_not_published(
    processed: Processed, tmp_path: Path, attack: Callable[[dict[str, Any]], Any]
) -> None:
    context = processed.context(tmp_path)
    path = prepared_folder(context.scratch) / PLAN_NAME
    plan = json.loads(path.read_text())
    attack(plan)
    path.write_text(json.dumps(plan))
    with pytest.raises(StageError, match="refused") as refusal:
        publish(context)
    assert not refusal.value.retryable
    assert PLAN_NAME not in stored(context)


@pytest.mark.parametrize("command", ["prepare --step fetch", "prepare --step publish", "render --chunk 0", "stitch"])
def test_a_stage_input_that_the_operator_did_not_write_is_not_even_parsed(
    rendered: RenderedVideo, tmp_path: Path, command: str
) -> None:
    """Whoever may replace the ConfigMap would set buckets, hosts and endpoints."""
    stage_input, log = rendered.context(tmp_path).stage_input, tmp_path / "log"
    log.touch()
    (tmp_path / "stage-input.json").write_text(stage_input.to_json() + " ")
    arguments = ["--stage-input", str(tmp_path / "stage-input.json"), "--stage-input-sha256", stage_input.sha256]
    variables = {"TALKINGVIDEO_TERMINATION_LOG": str(log), "TALKINGVIDEO_SCRATCH": str(tmp_path)}
    done = CliRunner().invoke(app, [*command.split(), *arguments], env=variables)
    assert done.exit_code == ERRORS[ErrorCode.INTERNAL].exit_status
    report = decode_report(log.read_text())
    assert isinstance(report, FailureReport)
    assert (report.code, report.retryable) == (ErrorCode.INTERNAL, False)
    assert "not the one that the operator wrote" in report.message


def test_the_digest_is_that_of_the_files_bytes(rendered: RenderedVideo, tmp_path: Path) -> None:
    stage_input = rendered.context(tmp_path).stage_input
    assert stage_input.sha256 == hashlib.sha256(stage_input.to_json().encode()).hexdigest()


def test_a_prepared_file_that_was_replaced_in_the_store_is_not_rendered(
    rendered: RenderedVideo, tmp_path: Path
) -> None:
    context = rendered.context(tmp_path)
    plan = require_plan(context)
    (tmp_path / "work" / "hello" / plan.stored_name("picture.png")).write_bytes(b"another picture")
    with pytest.raises(StageError, match="other content"):
        get_prepared(context, plan, "picture.png", tmp_path / "got")
    assert not (tmp_path / "got").exists()
