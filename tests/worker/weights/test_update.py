"""``make update-weights``: the pins as a hub states them."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import HfApi
from scripts.update_weights import updated
from tests.worker.weights.fake_hub import COMMIT, fake_hub, sha256

from talkingvideo_worker.weights.fetch import fetch_weights
from talkingvideo_worker.weights.location import PublishedFiles
from talkingvideo_worker.weights.pins import Pin, Pins

ROWS = (
    PublishedFiles("base", "a/model", ("*.json",), Path("model")),
    PublishedFiles("base", "a/model", ("weights.pth",), Path("model")),
)
CONTENT = {"config.json": b"{}", "weights.pth": b"w" * 1000, "README.md": b"unwanted"}
DIGESTS: dict[str, str | None] = {name: sha256(content) for name, content in CONTENT.items() if name != "README.md"}


def test_commit_and_digests_are_filled_in_and_fetching_accepts_them(tmp_path: Path) -> None:
    with fake_hub() as hub:
        hub.repositories["a/model", "main"] = CONTENT
        pins = updated(Pins(), ROWS, HfApi(endpoint=hub.endpoint), newest=False)
        assert pins == Pins((Pin("a/model", "main", COMMIT, DIGESTS),))
        assert not list(pins.unknown())
        fetch_weights(tmp_path, ROWS, lambda *_: None, hub.endpoint, pins)
    assert not (tmp_path / "trusted.json").exists()


def test_a_pinned_commit_stays_unless_the_newest_is_asked_for() -> None:
    known = Pins((Pin("a/model", "main", COMMIT, dict.fromkeys(DIGESTS)),))
    with fake_hub() as hub:
        hub.repositories["a/model", "main"] = CONTENT
        updated(known, ROWS, HfApi(endpoint=hub.endpoint), newest=False)
        assert {revision for _, revision in hub.asked} == {COMMIT}
        hub.asked.clear()
        updated(known, ROWS, HfApi(endpoint=hub.endpoint), newest=True)
        assert [revision for _, revision in hub.asked] == ["main", COMMIT]


def test_a_digest_that_changed_at_the_same_commit_is_shouted_about(capsys: pytest.CaptureFixture[str]) -> None:
    known = Pins((Pin("a/model", "main", COMMIT, {"weights.pth": "0" * 64}),))
    with fake_hub() as hub:
        hub.repositories["a/model", "main"] = CONTENT
        updated(known, ROWS, HfApi(endpoint=hub.endpoint), newest=False)
    assert "CHANGED  a/model weights.pth" in capsys.readouterr().err
