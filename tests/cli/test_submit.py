"""``submit``: what is created of which options, and what is refused before anything is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.api_server import ApiServer
from tests.cli.conftest import Run

from talkingvideo_api.uris import MAX_DATA_URI

FACE, SPEECH = "https://example.com/face.png", "s3://media/inputs/a.wav"


def test_addresses_are_passed_through(run: Run, server: ApiServer) -> None:
    done = run("submit", FACE, SPEECH)
    assert (done.exit_code, done.stdout) == (0, "talkingvideo.talkingvideo.dev/face-x7k2p created\n")
    created = server.videos["face-x7k2p"]
    assert created["spec"] == {
        "source": {"image": {"uri": FACE}},
        "speech": {"speakers": [{"audio": {"uri": SPEECH}}]},
    }


def test_options_are_fields_of_the_spec(run: Run, server: ApiServer) -> None:
    fields = (
        "--set",
        "spec.render.steps=8",
        "--set",
        "spec.video.aspectRatio=9:16",
        "--set",
        "spec.render.loras[0].name=x",
    )
    done = run("submit", FACE, "--text", "Hallo", "--voice", "de", "--profile", "gold", "--preset", "fast", *fields)
    assert done.exit_code == 0, done.stderr
    assert server.videos["face-x7k2p"]["spec"] == {
        "source": {"image": {"uri": FACE}},
        "speech": {"speakers": [{"text": "Hallo", "voice": "de"}]},
        "profile": "gold",
        "render": {"preset": "fast", "steps": 8, "loras": [{"name": "x"}]},
        "video": {"aspectRatio": "9:16"},
    }


def test_two_sounds_are_two_speakers(run: Run, server: ApiServer) -> None:
    assert run("submit", FACE, SPEECH, "s3://media/b.wav").exit_code == 0
    speakers = server.videos["face-x7k2p"]["spec"]["speech"]["speakers"]
    assert speakers == [{"audio": {"uri": SPEECH}}, {"audio": {"uri": "s3://media/b.wav"}}]


def test_a_video_is_dubbed(run: Run, server: ApiServer) -> None:
    assert run("submit", "https://example.com/clip.MP4?signed=1", SPEECH).exit_code == 0
    assert server.videos["clip-x7k2p"]["spec"]["source"] == {"video": {"uri": "https://example.com/clip.MP4?signed=1"}}


def test_without_a_store_small_files_travel_in_the_object(
    run: Run, server: ApiServer, picture: Path, sound: Path
) -> None:
    done = run("submit", picture, sound)
    assert done.exit_code == 0, done.stderr
    assert "no store is named: the files travel in the object" in done.stderr
    spec = server.videos["my-face-1-x7k2p"]["spec"]
    assert spec["source"]["image"]["uri"] == "data:image/png;base64,YSBwaWN0dXJl"
    assert spec["speech"]["speakers"][0]["audio"]["uri"].startswith("data:audio/x-wav;base64,")


def test_a_file_url_is_a_file(run: Run, server: ApiServer, picture: Path) -> None:
    assert run("submit", picture.as_uri(), "--text", "Hello").exit_code == 0
    assert server.videos["my-face-1-x7k2p"]["spec"]["source"]["image"]["uri"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("bytes_of_each", [MAX_DATA_URI, 3 * MAX_DATA_URI // 4 // 2 + 100])
def test_files_too_large_for_an_object_need_a_store(
    run: Run, server: ApiServer, picture: Path, sound: Path, bytes_of_each: int
) -> None:
    picture.write_bytes(b"a" * bytes_of_each)
    sound.write_bytes(b"b" * bytes_of_each)
    done = run("submit", picture, sound)
    assert done.exit_code == 2
    assert "--store s3://BUCKET/PREFIX" in done.stderr
    assert server.requests == []


def test_a_name_can_be_chosen(run: Run, server: ApiServer) -> None:
    assert run("submit", FACE, SPEECH, "--name", "chosen").exit_code == 0
    assert [*server.videos] == ["chosen"]


@pytest.mark.parametrize(
    ("title", "beginning"),
    [
        ("Zürich – Übung.png", "zurich-ubung"),
        ("東京.png", "video"),
        ("---.png", "video"),
        ("a" * 100 + ".png", "a" * 40),
        ("x.y.z.png", "x-y-z"),
    ],
)
def test_a_generated_name_is_a_valid_one(
    run: Run, server: ApiServer, tmp_path: Path, title: str, beginning: str
) -> None:
    (tmp_path / title).write_bytes(b"x")
    assert run("submit", tmp_path / title, "--text", "Hello").exit_code == 0
    assert [*server.videos] == [f"{beginning}-x7k2p"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((FACE,), "give a SOUND or --text for each speaker: one or two, not 0"),
        ((FACE, SPEECH, SPEECH, SPEECH), "one or two, not 3"),
        ((FACE, SPEECH, "--voice", "de"), "--voice belongs to a --text"),
        ((FACE, SPEECH, "--name", "Not a name"), "--name: "),
        ((FACE, "--text", "a", "--voice", "de", "--voice", "fr"), "one voice for all texts, or one for each"),
        (("missing.png", SPEECH), "missing.png: there is no such file"),
        (("http://example.com/face.png", SPEECH), "the cluster fetches from https:// only"),
        (("ftp://example.com/face.png", SPEECH), "give a path, or an address that begins with https, s3"),
        ((FACE, SPEECH, "--set", "spec.render.steps"), "--set spec.render.steps: give spec.FIELD=VALUE"),
        ((FACE, SPEECH, "--set", "render.steps=8"), "--set render.steps: give spec.FIELD=VALUE"),
        ((FACE, SPEECH, "--set", "spec.render.steps=[1"), "--set spec.render.steps: "),
        ((FACE, SPEECH, "--set", "spec.render.steps=1000"), "--set spec.render.steps: "),
        ((FACE, SPEECH, "--set", "spec.render.loras[1].name=x"), "set [0] first"),
        ((FACE, SPEECH, "--set", "spec.promt=x"), "--set spec.promt: unknown field; did you mean prompt?"),
        ((FACE, SPEECH, "--preset", "best"), "--preset: "),
        ((FACE, SPEECH, "--preset", "fast", "--set", "spec.render.preset=turbo"), "another option sets this field"),
    ],
)
def test_what_is_wrong_is_named_before_the_cluster_is_asked(
    run: Run, server: ApiServer, arguments: tuple[str, ...], words: str
) -> None:
    done = run("submit", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert server.requests == []


def test_the_server_is_asked_strictly_before_anything_is_created(run: Run, server: ApiServer) -> None:
    run("submit", FACE, SPEECH)
    path = "/apis/talkingvideo.dev/v1alpha1/namespaces/films/talkingvideos"
    assert server.requests == [f"POST {path} dryRun=All&fieldValidation=Strict", f"POST {path} -"]


@pytest.mark.parametrize(("chosen", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_object_is_printed_for_programs(run: Run, server: ApiServer, chosen: str, read: Any) -> None:
    done = run("submit", FACE, SPEECH, "-o", chosen)
    assert read(done.stdout) == server.videos["face-x7k2p"]


def test_the_name_is_printed_for_programs(run: Run) -> None:
    assert run("submit", FACE, SPEECH, "-o", "name").stdout == "talkingvideo.talkingvideo.dev/face-x7k2p\n"


def test_watch_shows_the_progress_and_the_result(run: Run, server: ApiServer) -> None:
    server.scripts["hello"] = [
        {"phase": "Preparing", "progress": 2},
        {"phase": "Succeeded", "progress": 100, "output": {"uri": "s3://media/films/hello.mp4"}},
    ]
    done = run("submit", FACE, SPEECH, "--name", "hello", "--watch")
    assert (done.exit_code, done.stdout.splitlines()) == (
        0,
        ["hello 0% Pending", "hello 2% Preparing", "hello 100% Succeeded", "s3://media/films/hello.mp4"],
    )
