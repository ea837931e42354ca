"""What this release pins of the published weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from talkingvideo_worker.process.weights_commands import PUBLISHED
from talkingvideo_worker.speech.voices import PUBLISHED_VOICES
from talkingvideo_worker.weights.pins import Pin, Pins, read_pins, release_pins, write_pins
from talkingvideo_worker.weights.record import SMALL, files_of_another_release


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.repository}@{row.revision} {row.files[0]}")
def test_every_repository_has_a_pin_that_names_its_files(row: object) -> None:
    pin = release_pins().of(row)  # type: ignore[arg-type]
    assert [name for name in pin.files if row.includes(name)]  # type: ignore[attr-defined]


def test_a_commit_is_a_commit_and_a_digest_a_sha256() -> None:
    for pin in release_pins().rows:
        assert pin.commit is None or re.fullmatch("[0-9a-f]{40}", pin.commit)
        assert all(digest is None or re.fullmatch("[0-9a-f]{64}", digest) for digest in pin.files.values())


def test_all_voices_and_pickles_are_pinned_by_sha256() -> None:
    """Pickles are the files that could run code, were they not read with weights_only."""
    pinned = release_pins().by_destination(PUBLISHED)
    assert {path.stem for path in pinned if path.parent.name == "voices"} == PUBLISHED_VOICES
    pickles = [name for pin in release_pins().rows for name in pin.files if name.endswith((".pth", ".pt", ".bin"))]
    assert {Path(name).name for name in pickles} <= {path.name for path in pinned}


def test_what_is_not_known_is_said() -> None:
    pins = Pins((Pin("a/b", "main", None, {"x": None, "y": "0" * 64}),))
    assert list(pins.unknown()) == ["a/b has no commit (it follows main)", "a/b has no sha256 of x"]


def test_pins_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_pins(release_pins(), tmp_path / "pins.json")
    assert read_pins(tmp_path / "pins.json") == release_pins()


def test_a_file_of_another_release_is_found_by_its_record_or_where_it_is_small(tmp_path: Path) -> None:
    right, wrong = "0" * 64, "f" * 64
    for name, size in (("recorded", SMALL + 1), ("unrecorded", SMALL + 1), ("same", SMALL + 1), ("small", 3)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    (tmp_path / "fetched.json").write_text(json.dumps({"recorded": wrong, "same": right}))
    expected = {Path(name): right for name in ("recorded", "unrecorded", "same", "small", "missing")}
    assert list(files_of_another_release(tmp_path, expected)) == [Path("recorded"), Path("small")]
