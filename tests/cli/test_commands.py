"""The commands on objects that exist: list, cancel, retry, logs, plan, explain; and what the API server refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripts.release import version
from tests.cli.api_server import SPEC, ApiServer
from tests.cli.conftest import Run
from tests.cli.test_watch import DONE, FAILURE, chunks

from talkingvideo_api.errors import ERRORS, ErrorCode

ALL = [
    ("list",),
    ("watch", "hello"),
    ("logs", "hello"),
    ("cancel", "hello"),
    ("retry", "hello"),
    ("download", "hello"),
    ("open", "hello"),
    ("plan", "hello"),
    ("explain", "hello"),
]


# list


def test_the_list_is_a_table(run: Run, server: ApiServer) -> None:
    server.add("b", phase="Rendering", progress=30, chunks=chunks(3, [0]), queuePosition=4)
    server.add("a")
    table = [line.split() for line in run("list").stdout.splitlines()]
    assert [row[:4] for row in table] == [
        ["NAME", "PHASE", "PROGRESS", "CHUNKS"],
        ["a", "Pending", "0%", table[1][3]],
        ["b", "Rendering", "30%", "1/3"],
    ]


def test_an_empty_list_is_a_sentence(run: Run) -> None:
    done = run("list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "there are no TalkingVideos in the namespace films" in done.stderr


def test_all_namespaces_are_listed(run: Run, server: ApiServer) -> None:
    server.add("a")
    assert run("list", "-A").stdout.split()[:2] == ["NAMESPACE", "NAME"]
    assert server.requests[0].startswith("GET /apis/talkingvideo.dev/v1alpha1/talkingvideos ")


def test_a_list_for_programs(run: Run, server: ApiServer) -> None:
    server.add("a")
    server.add("b")
    assert run("list", "-o", "name").stdout == "talkingvideo.talkingvideo.dev/a\ntalkingvideo.talkingvideo.dev/b\n"
    assert json.loads(run("list", "-o", "json").stdout)["kind"] == "TalkingVideoList"


# cancel, retry


def test_cancel_sets_the_field(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Rendering")
    done = run("cancel", "hello")
    assert (done.exit_code, done.stdout) == (0, "talkingvideo.talkingvideo.dev/hello cancelled\n")
    assert server.videos["hello"]["spec"]["cancel"] is True
    assert "PATCH" in server.requests[-1] and "fieldValidation=Strict" in server.requests[-1]


def test_a_cancelled_video_may_be_cancelled_again(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Cancelled")
    assert run("cancel", "hello").exit_code == 0


def test_what_has_ended_is_not_cancelled(run: Run, server: ApiServer) -> None:
    server.add("hello", **DONE)
    done = run("cancel", "hello")
    assert done.exit_code == 1
    assert "hello has succeeded already" in done.stderr
    assert server.writes() == []


@pytest.mark.parametrize("phase", ["Failed", "Cancelled"])
def test_retry_sets_the_annotation_and_takes_a_cancellation_back(run: Run, server: ApiServer, phase: str) -> None:
    server.add("hello", {**SPEC, "cancel": True}, phase=phase)
    done = run("retry", "hello")
    assert (done.exit_code, done.stdout) == (0, "talkingvideo.talkingvideo.dev/hello is tried again\n")
    assert "cancel" not in server.videos["hello"]["spec"]
    assert server.videos["hello"]["metadata"]["annotations"]["talkingvideo.dev/retry"].startswith("20")


def test_what_is_being_made_is_not_tried_again(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Rendering")
    done = run("retry", "hello")
    assert done.exit_code == 1
    assert "only what has failed or was cancelled can be tried again" in done.stderr


def test_a_retry_can_be_watched(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Failed", failure=FAILURE)
    server.scripts["hello"] = [{"phase": "Rendering"}, DONE]
    done = run("retry", "hello", "--watch")
    assert done.exit_code == 0, done.stderr
    assert "hello 100% Succeeded" in done.stdout


# logs


def pod(name: str, stage: str, chunk: int | None = None, attempt: int = 0, *containers: str) -> dict[str, Any]:
    labels = {
        "talkingvideo.dev/uid": "uid-1",
        "talkingvideo.dev/stage": stage,
        "talkingvideo.dev/attempt": str(attempt),
    }
    if chunk is not None:
        labels["talkingvideo.dev/chunk"] = str(chunk)
    states = [{"name": container, "state": {"terminated": {}}} for container in containers]
    return {"metadata": {"name": name, "labels": labels}, "status": {"containerStatuses": states}}


@pytest.fixture
def with_pods(server: ApiServer) -> ApiServer:
    server.add("hello", phase="Rendering")
    server.pods = [
        pod("s", "stitch"),
        pod("r10", "render", 10, 0, "render"),
        pod("r2b", "render", 2, 1, "render"),
        pod("r2a", "render", 2, 0, "render"),
        pod("p", "prepare", None, 0, "fetch", "process", "publish"),
        pod("forged", "other"),
    ]
    server.logs = {("p", "fetch"): "fetched\n", ("p", "process"): "", ("p", "publish"): "published\n"}
    progress = json.dumps({"progress": {"stage": "render", "fraction": 0.5, "message": "Rendering", "chunk": 2}})
    server.logs |= {
        ("r2a", "render"): "killed\n",
        ("r2b", "render"): f"{progress}\n".replace(" ", ""),
        ("r10", "render"): "x",
    }
    return server


def test_logs_come_in_the_order_of_the_work(run: Run, with_pods: ApiServer) -> None:
    done = run("logs", "hello")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [
        "==> prepare, container fetch (p)",
        "fetched",
        "==> prepare, container process (p)",
        "==> prepare, container publish (p)",
        "published",
        "==> render-2, container render (r2a)",
        "killed",
        "==> render-2, attempt 1, container render (r2b)",
        " 50% Rendering",
        "==> render-10, container render (r10)",
        "x",
    ]
    assert "stitch: no container has started" in done.stderr


@pytest.mark.parametrize(
    ("filters", "count"),
    [(("--stage", "render"), 3), (("--chunk", "2"), 2), (("--stage", "render", "--chunk", "10"), 1)],
)
def test_logs_can_be_filtered(run: Run, with_pods: ApiServer, filters: tuple[str, ...], count: int) -> None:
    assert run("logs", "hello", *filters).stdout.count("==> ") == count


def test_a_video_without_pods_has_no_logs(run: Run, server: ApiServer) -> None:
    server.add("hello")
    done = run("logs", "hello")
    assert done.exit_code == 3
    assert "hello has no such pods" in done.stderr


def test_a_log_of_any_size_is_read_line_by_line(run: Run, with_pods: ApiServer) -> None:
    line = "x" * 200_000
    with_pods.logs["r10", "render"] = f"{line}\n{line}\n\x1b[31mred\x1b[0m"
    printed = run("logs", "hello", "--chunk", "10").stdout.splitlines()
    assert printed[1:3] == [line, line]
    assert printed[3] == "�[31mred�[0m"


# plan


PLANNED = {
    "phase": "Succeeded",
    "chunks": {**chunks(2, [1]), "reused": 1},
    "estimate": {"windows": 4, "gpuSeconds": 120.4, "cost": 0.1},
}


def test_a_plan_is_a_dry_run_that_is_deleted(run: Run, server: ApiServer) -> None:
    server.add("hello", {**SPEC, "suspend": True, "cancel": True})
    server.scripts["hello-plan-x7k2p"] = [PLANNED]
    done = run("plan", "hello")
    assert done.exit_code == 0, done.stderr
    assert server.bodies == [
        {
            "apiVersion": "talkingvideo.dev/v1alpha1",
            "kind": "TalkingVideo",
            "metadata": {"generateName": "hello-plan-"},
            "spec": {**SPEC, "dryRun": True},
        }
    ]
    assert [*server.videos] == ["hello"]
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["CHUNK", "SECONDS", "FOUND"],
        ["0", "10.00"],
        ["1", "10.00", "in", "the", "store"],
        ["20.00", "s", "of", "video", "in", "2", "chunks,", "1", "of", "them", "finished", "in", "the", "store"],
        ["windows", "to", "render:", "4"],
        ["GPU", "time:", "about", "120", "s"],
        ["cost:", "about", "0.10,", "in", "the", "currency", "of", "the", "profile's", "price"],
    ]


def test_a_picture_and_a_text_are_planned(run: Run, server: ApiServer) -> None:
    server.scripts["face-x7k2p"] = [PLANNED]
    assert run("plan", "https://example.com/face.png", "--text", "Hello").exit_code == 0
    assert server.bodies[-1]["spec"]["dryRun"] is True
    assert server.videos == {}


def test_a_dry_run_that_fails_is_deleted_too(run: Run, server: ApiServer) -> None:
    server.add("hello")
    server.scripts["hello-plan-x7k2p"] = [{"phase": "Failed", "failure": FAILURE}]
    assert run("plan", "hello").exit_code == 1
    assert [*server.videos] == ["hello"]


def test_a_dry_run_that_does_not_end_is_deleted_too(run: Run, server: ApiServer) -> None:
    server.add("hello")
    assert run("plan", "hello", "--timeout", "0.1").exit_code == 7
    assert [*server.videos] == ["hello"]


# explain


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_is_explained_without_a_cluster(run: Run, server: ApiServer, code: ErrorCode) -> None:
    for written in (code.value, code.value.removeprefix("E_").lower()):
        done = run("explain", written)
        assert done.exit_code == 0
        assert ERRORS[code].meaning in done.stdout
        assert ERRORS[code].remedy in done.stdout
    assert server.requests == []


def test_a_failed_video_is_explained(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Failed", failure={**FAILURE, "field": "spec.render.steps"}, warnings=["truncated"])
    words = run("explain", "hello").stdout
    assert "hello: Failed" in words
    assert "Why: spec.render.steps: the GPU ran out of memory (E_OOM) (in render of chunk 1)" in words
    assert ERRORS[ErrorCode.OOM].remedy in words
    assert "Warning: truncated" in words


def test_a_video_that_waits_is_explained_by_its_conditions(run: Run, server: ApiServer) -> None:
    conditions = [
        {"type": "Ready", "status": "False", "message": "no", "lastTransitionTime": "2026-01-03T00:00:00Z"},
        {"type": "Reconciling", "status": "True", "message": "no GPU", "lastTransitionTime": "2026-01-02T00:00:00Z"},
    ]
    server.add("hello", phase="Rendering", conditions=conditions)
    assert run("explain", "hello").stdout.splitlines() == ["hello: Rendering", "no GPU"]


def test_an_unknown_code_may_be_a_name(run: Run) -> None:
    done = run("explain", "e-unknown")
    assert done.exit_code == 3


# refusals


@pytest.mark.parametrize("command", ALL, ids=lambda command: command[0])
def test_rights_that_are_missing_are_named(run: Run, server: ApiServer, command: tuple[str, ...]) -> None:
    server.add("hello", phase="Rendering")
    verb = "list" if command == ("list",) else "get"
    server.forbidden = {verb}
    done = run(*command)
    assert done.exit_code == 4
    assert f"you may not {verb} talkingvideos in the namespace films: ask its administrator for a Role" in done.stderr
    assert f"{{apiGroups: [talkingvideo.dev], resources: [talkingvideos], verbs: [{verb}]}}" in done.stderr


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        (("submit", "https://example.com/a.png", "--text", "x"), "create"),
        (("cancel", "hello"), "patch"),
        (("watch", "hello"), "watch"),
    ],
)
def test_the_verb_of_a_later_call_is_named(run: Run, server: ApiServer, command: tuple[str, ...], verb: str) -> None:
    server.add("hello", phase="Rendering")
    server.forbidden = {verb}
    done = run(*command)
    assert done.exit_code == 4
    assert f"you may not {verb} talkingvideos" in done.stderr


@pytest.mark.parametrize("command", ALL[1:], ids=lambda command: command[0])
def test_a_name_that_does_not_exist(run: Run, server: ApiServer, command: tuple[str, ...]) -> None:
    done = run(*command)
    assert done.exit_code == 3
    assert done.stderr.splitlines()[-1] == 'error: talkingvideos.talkingvideo.dev "hello" not found'


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ((404, "404 page not found"), 3, "this cluster does not know TalkingVideos"),
        ((401, {"message": "Unauthorized", "reason": "Unauthorized"}), 4, "does not accept your credentials"),
        ((403, {"message": "exceeded quota: videos", "reason": "Forbidden"}), 4, "exceeded quota: videos"),
        ((422, {"message": "spec.source: set exactly one", "reason": "Invalid"}), 2, "set exactly one"),
        ((503, "<html>"), 6, "the API server answers 503"),
    ],
)
def test_refusals_of_a_creation_in_words(
    run: Run, server: ApiServer, answer: tuple[int, Any], status: int, words: str
) -> None:
    server.refusals["POST"] = answer
    done = run("submit", "https://example.com/a.png", "--text", "x")
    assert done.exit_code == status
    assert words in done.stderr
    assert server.videos == {}


def test_a_name_that_is_taken(run: Run, server: ApiServer) -> None:
    server.add("hello")
    done = run("submit", "https://example.com/a.png", "--text", "x", "--name", "hello")
    assert done.exit_code == 2
    assert "already exists" in done.stderr


def test_a_file_that_cannot_be_read(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything: the error is a disk's."""

    def fail(file: Path) -> bytes:
        raise OSError(5, "Input/output error", str(file))

    (tmp_path / "face.png").write_bytes(b"x")
    monkeypatch.setattr(Path, "read_bytes", fail)
    done = run("submit", tmp_path / "face.png", "--text", "x")
    assert (done.exit_code, done.stderr) == (2, f"error: {tmp_path / 'face.png'}: Input/output error\n")


def test_the_version(run: Run) -> None:
    assert run("--version").stdout == f"{version()}\n"


# the choice of a cluster


def test_the_namespace_is_that_of_the_option_or_of_the_context(run: Run, server: ApiServer) -> None:
    run("list")
    run("list", "-n", "other")
    assert [request.split("/")[5] for request in server.requests] == ["films", "other"]


def test_a_cluster_that_does_not_answer(run: Run) -> None:
    done = run("list", "--context", "nowhere")
    assert done.exit_code == 6
    assert "no response from the API server" in done.stderr


@pytest.mark.parametrize("arguments", [("--context", "missing"), ("--kubeconfig", "missing.yaml")])
def test_a_kubeconfig_without_what_is_asked_for(run: Run, arguments: tuple[str, str]) -> None:
    done = run("list", *arguments)
    assert done.exit_code == 2
    assert "the kubeconfig cannot be used" in done.stderr


@pytest.mark.parametrize(
    "text", ["", "a: [", "[]", "contexts: 1", "current-context: x", "apiVersion: v1\nkind: Config\n"]
)
def test_a_kubeconfig_that_is_damaged(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "damaged").write_text(text)
    done = run("list", "--kubeconfig", tmp_path / "damaged")
    assert done.exit_code == 2
    assert "the kubeconfig cannot be used" in done.stderr
    assert "Traceback" not in done.stderr
