"""``watch``: lines on a pipe, bars on a terminal, exit statuses for scripts, broken connections."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import yaml
from rich.console import Console
from tests.cli.api_server import ApiServer
from tests.cli.conftest import Run

from talkingvideo_api.reports import encode_bitmap
from talkingvideo_cli import following
from talkingvideo_cli.display import Bars
from talkingvideo_cli.view import VideoView

DONE: dict[str, Any] = {"phase": "Succeeded", "progress": 100, "output": {"uri": "s3://media/films/hello.mp4"}}
FAILURE = {"code": "E_OOM", "message": "the GPU ran out of memory", "stage": "render", "chunk": 1, "retryable": True}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PAUSES", (0, 0, 0))


def chunks(total: int, finished: list[int], *active: dict[str, Any]) -> dict[str, Any]:
    frames = [250] * total
    bitmap = encode_bitmap(finished, total)
    return {"total": total, "done": len(finished), "frames": frames, "finished": bitmap, "active": list(active)}


def active(index: int, progress: int, stage: str = "Running") -> dict[str, Any]:
    return {"index": index, "attempt": 0, "stage": stage, "progress": progress}


def test_each_change_is_one_line_on_a_pipe(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Pending", queuePosition=2)
    rendering = {"phase": "Rendering", "progress": 30, "chunks": chunks(3, [0], active(1, 40), active(2, 0, "Pending"))}
    server.scripts["hello"] = [rendering, dict(rendering), {**DONE, "chunks": chunks(3, [0, 1, 2])}]
    assert run("watch", "hello").stdout.splitlines() == [
        "hello 0% Pending, place 2 in the queue",
        "hello 30% Rendering, 1/3 chunks; chunk 1 running 40%; chunk 2 pending 0%",
        "hello 100% Succeeded, 3/3 chunks",
        "s3://media/films/hello.mp4",
    ]


@pytest.mark.parametrize(
    ("end", "status", "words"),
    [
        (DONE, 0, ""),
        (
            {"phase": "Failed", "failure": FAILURE},
            1,
            "hello has failed: the GPU ran out of memory (E_OOM) (in render of chunk 1)",
        ),
        ({"phase": "Cancelled"}, 5, "hello was cancelled"),
    ],
)
def test_the_end_is_an_exit_status(run: Run, server: ApiServer, end: dict[str, Any], status: int, words: str) -> None:
    server.add("hello", phase="Rendering")
    server.scripts["hello"] = [end]
    done = run("watch", "hello")
    assert done.exit_code == status
    assert words in done.stderr


def test_a_video_that_has_ended_needs_no_watch(run: Run, server: ApiServer) -> None:
    server.add("hello", **DONE)
    assert run("watch", "hello").exit_code == 0
    assert len(server.requests) == 1


def test_an_edit_that_the_operator_has_not_seen_is_no_end(run: Run, server: ApiServer) -> None:
    server.add("hello", **DONE)["metadata"]["generation"] = 2
    server.scripts["hello"] = [{**DONE, "observedGeneration": 2}]
    done = run("watch", "hello")
    assert done.exit_code == 0
    assert len(server.requests) == 2


def test_a_retry_that_the_operator_has_not_seen_is_no_end(run: Run, server: ApiServer) -> None:
    body = server.add("hello", phase="Failed", failure=FAILURE)
    body["metadata"]["annotations"] = {"talkingvideo.dev/retry": "2"}
    server.scripts["hello"] = [{"phase": "Rendering", "observedRetry": "2"}, {**DONE, "observedRetry": "2"}]
    assert run("watch", "hello").exit_code == 0


def test_a_broken_connection_and_an_expired_version_are_picked_up(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Rendering")
    server.broken_watches = 20
    server.scripts["hello"] = [{"error": 410}, DONE]
    assert run("watch", "hello").exit_code == 0


def test_a_server_that_stays_away_ends_the_command(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Rendering")
    server.scripts["hello"] = [{"is_down": True}]
    done = run("watch", "hello")
    assert done.exit_code == 6
    assert len(server.requests) > 1 + len(following.PAUSES)
    assert "no response from the API server" in done.stderr


def test_a_server_that_has_never_answered_is_not_waited_for(run: Run, server: ApiServer) -> None:
    server.is_down = True
    assert run("watch", "hello").exit_code == 6
    assert len(server.requests) <= 2, "the HTTP client itself tries again once"


def test_a_deleted_video_is_not_found(run: Run, server: ApiServer) -> None:
    assert run("watch", "hello").exit_code == 3


def test_a_time_limit_has_a_status_of_its_own(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Rendering")
    done = run("watch", "hello", "--timeout", "0.2")
    assert done.exit_code == 7
    assert "hello has not ended within 0.2 seconds; it goes on" in done.stderr


def test_the_object_is_printed_for_programs_and_the_progress_beside_it(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Rendering")
    server.scripts["hello"] = [{**DONE, "warnings": ["truncated"]}]
    done = run("watch", "hello", "-o", "json")
    assert json.loads(done.stdout)["status"]["phase"] == "Succeeded"
    assert "hello 100% Succeeded" in done.stderr
    assert "warning: truncated" in done.stderr


def test_a_status_of_a_newer_operator_is_shown_as_far_as_it_is_known(run: Run, server: ApiServer) -> None:
    server.add("hello", phase="Upscaling", progress=97, novelty={"a": 1}, chunks={"total": 2, "novel": True})
    server.scripts["hello"] = [DONE]
    assert run("watch", "hello").stdout.splitlines()[0] == "hello 97% Upscaling"


def test_a_terminal_obeys_nothing_that_a_status_says(run: Run, server: ApiServer) -> None:
    message = "\x1b]0;evil\x07 red \x9b \u202e"
    server.add("hello", phase="Failed", failure={**FAILURE, "message": message})
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*run("watch", "hello").stderr}
    for chosen, read in (("json", json.loads), ("yaml", yaml.safe_load)):
        printed = run("watch", "hello", "-o", chosen).stdout
        assert not {"\x1b", "\x07", "\x9b"} & {*printed}
        assert read(printed)["status"]["failure"]["message"] == message


def drawn(view: VideoView, rows: int) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, height=rows)
    with Bars(console) as bars:
        bars.show(view)
    return stream.getvalue()


def view(**status: Any) -> VideoView:
    return VideoView.of(ApiServer().add("hello", phase="Rendering", progress=30, **status))


def test_a_terminal_has_a_bar_for_each_chunk() -> None:
    picture = drawn(view(chunks=chunks(3, [0], active(1, 40))), rows=24)
    for words in ("hello", "Rendering, 1/3 chunks", "chunk 0", "done", "chunk 1", "running", "chunk 2", "waiting"):
        assert words in picture, words


def test_a_small_terminal_shows_what_renders() -> None:
    picture = drawn(view(chunks=chunks(500, [*range(100)], active(250, 40))), rows=10)
    assert "chunk 250" in picture
    assert "chunk 0 " not in picture
    assert picture.count("chunk ") < 20
