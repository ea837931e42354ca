"""Fetching weights from a hub."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.constants import DOWNLOAD_CHUNK_SIZE
from tests.worker.weights.fake_hub import COMMIT, FakeHub, fake_hub, sha256

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.weights.files import adapter_of
from talkingvideo_worker.process.weights_commands import PARTS, PUBLISHED
from talkingvideo_worker.weights import fetch as module
from talkingvideo_worker.weights.fetch import fetch_weights
from talkingvideo_worker.weights.pins import Pin, Pins
from talkingvideo_worker.weights.trust import TRUSTED

ADAPTERS = "MeiGen-AI/InfiniteTalk"
SINGLE, MULTI = "single/infinitetalk.safetensors", "multi/infinitetalk.safetensors"
WAV2VEC = "TencentGameMate/chinese-wav2vec2-base"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with fake_hub() as hub:
        hub.repositories[ADAPTERS, "main"] = {SINGLE: b"s" * 200_000, MULTI: b"m" * 1000, "README.md": b"unwanted"}
        hub.repositories[WAV2VEC, "main"] = {"config.json": b"{}", "preprocessor_config.json": b"[]", "a.bin": b"no"}
        hub.repositories[WAV2VEC, "refs/pr/1"] = {"model.safetensors": b"w" * 500, "config.json": b"{}"}
        yield hub


NOTHING_PINNED = Pins()


def adapters(**files: bytes | None) -> Pins:
    """Pins of the adapters' commit: ``single`` and ``multi`` by their contents."""
    names = {"single": SINGLE, "multi": MULTI}
    digests = {names[key]: None if content is None else sha256(content) for key, content in files.items()}
    return Pins((Pin(ADAPTERS, "main", COMMIT, digests),))


def fetch(hub: FakeHub, folder: Path, *parts: str, pins: Pins = NOTHING_PINNED) -> list[str]:
    """Fetch, and return the messages of its progress."""
    messages: list[str] = []
    rows = [row for row in PUBLISHED if row.part in (parts or ("adapter",))]
    fetch_weights(folder, rows, lambda _fraction, message: messages.append(message), hub.endpoint, pins)
    return messages


def test_only_the_wanted_files_are_fetched_each_to_its_place(hub: FakeHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path, "adapter", "speech")
    assert (tmp_path / adapter_of(1)).read_bytes() == b"s" * 200_000
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {
        f"InfiniteTalk/{SINGLE}", f"InfiniteTalk/{MULTI}", "fetched.json", "trusted.json", ".lock", "chinese-wav2vec2-base/config.json",
        "chinese-wav2vec2-base/preprocessor_config.json", "chinese-wav2vec2-base/model.safetensors",
    }  # fmt: skip


def test_a_complete_folder_is_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path)
    hub.served.clear()
    assert fetch(hub, tmp_path)[-1] == "0 files fetched, 2 were there"
    assert hub.served == []


def test_a_file_that_was_copied_by_hand_is_accepted_when_it_is_the_hubs(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / adapter_of(1)).parent.mkdir(parents=True)
    (tmp_path / adapter_of(1)).write_bytes(b"s" * 200_000)
    fetch(hub, tmp_path)
    assert [name for name, _ in hub.served] == [MULTI]


def test_a_file_of_the_same_size_and_other_content_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / adapter_of(1)).parent.mkdir(parents=True)
    (tmp_path / adapter_of(1)).write_bytes(b"x" * 200_000)
    fetch(hub, tmp_path)
    assert (tmp_path / adapter_of(1)).read_bytes() == b"s" * 200_000


def test_the_pinned_commit_is_fetched_and_each_file_has_the_releases_sha256(hub: FakeHub, tmp_path: Path) -> None:
    messages = fetch(hub, tmp_path, pins=adapters(single=b"s" * 200_000, multi=b"m" * 1000))
    assert set(hub.asked) == {(ADAPTERS, COMMIT)}
    assert messages[-1] == "2 files fetched, 0 were there"
    assert not (tmp_path / TRUSTED).exists()


def test_a_hub_that_has_another_file_than_the_release_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    """A mirror, or a hub that somebody has taken over, says that all is well: its own checksum is right."""
    with pytest.raises(
        StageError, match=r"another InfiniteTalk/multi/infinitetalk\.safetensors than this release"
    ) as failed:
        fetch(hub, tmp_path, pins=adapters(single=b"s" * 200_000, multi=b"the release's"))
    assert not failed.value.retryable
    assert hub.served == []


def test_a_small_file_that_is_not_the_releases_is_not_put_in_place(hub: FakeHub, tmp_path: Path) -> None:
    """The hub has no sha256 of it: it is seen when the file is here."""
    pins = Pins((Pin(WAV2VEC, "main", COMMIT, {"config.json": sha256(b"{...}")}),))
    with pytest.raises(StageError, match="wrong checksum"):
        fetch(hub, tmp_path, "speech", pins=pins)
    assert not (tmp_path / "chinese-wav2vec2-base" / "config.json").exists()


def test_what_is_not_pinned_is_said_and_held_to_what_it_was_at_first(hub: FakeHub, tmp_path: Path) -> None:
    assert (
        "1 of 2 files have no sha256 in this release" in fetch(hub, tmp_path, pins=adapters(single=b"s" * 200_000))[0]
    )
    hub.repositories[ADAPTERS, "main"][MULTI] = b"n" * 1000
    with pytest.raises(StageError, match=r"another .* than when it was fetched first"):
        fetch(hub, tmp_path, pins=adapters(single=b"s" * 200_000))
    (tmp_path / TRUSTED).unlink()
    fetch(hub, tmp_path, pins=adapters(single=b"s" * 200_000))
    assert (tmp_path / adapter_of(2)).read_bytes() == b"n" * 1000


def test_a_branch_without_a_pinned_commit_is_followed_once(hub: FakeHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path)
    fetch(hub, tmp_path)
    assert [revision for _, revision in hub.asked] == ["main", COMMIT, COMMIT, COMMIT]


def test_a_broken_connection_is_resumed(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _seconds: None)
    content = hub.repositories[ADAPTERS, "main"][SINGLE] = b"l" * (DOWNLOAD_CHUNK_SIZE + 900_000)
    hub.break_after = DOWNLOAD_CHUNK_SIZE + 500_000
    fetch(hub, tmp_path)
    assert (SINGLE, DOWNLOAD_CHUNK_SIZE) in hub.served
    assert (tmp_path / adapter_of(1)).read_bytes() == content


def test_a_killed_command_is_resumed(hub: FakeHub, tmp_path: Path) -> None:
    content = hub.repositories[ADAPTERS, "main"][SINGLE]
    (tmp_path / module.PARTIAL).mkdir()
    (tmp_path / module.PARTIAL / f"{sha256(content)}.part").write_bytes(content[:70_000])
    fetch(hub, tmp_path)
    assert (SINGLE, 70_000) in hub.served
    assert (tmp_path / adapter_of(1)).read_bytes() == content


def test_a_wrong_checksum_leaves_nothing_in_place(hub: FakeHub, tmp_path: Path) -> None:
    hub.falsify.add(SINGLE)
    with pytest.raises(StageError, match="checksum") as failure:
        fetch(hub, tmp_path)
    assert failure.value.code is ErrorCode.DOWNLOAD_FAILED
    assert not (tmp_path / adapter_of(1)).exists()
    hub.falsify.clear()
    fetch(hub, tmp_path)
    assert (tmp_path / adapter_of(1)).read_bytes() == b"s" * 200_000


def test_a_gated_repository_is_explained(hub: FakeHub, tmp_path: Path) -> None:
    hub.gated.add(ADAPTERS)
    with pytest.raises(StageError, match="HF_TOKEN"):
        fetch(hub, tmp_path)


def test_a_file_that_the_repository_lost_is_named(hub: FakeHub, tmp_path: Path) -> None:
    del hub.repositories[WAV2VEC, "refs/pr/1"]["model.safetensors"]
    with pytest.raises(StageError, match=r"has no model\.safetensors at refs/pr/1"):
        fetch(hub, tmp_path, "speech")


def test_an_unreachable_hub_is_explained(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="resumes where it stopped") as failure:
        fetch_weights(tmp_path, [PUBLISHED[1]], lambda *_: None, "http://127.0.0.1:9")
    assert failure.value.retryable


def test_a_disk_that_is_too_small_is_refused_before_anything_is_fetched(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 10}))
    with pytest.raises(StageError, match="free") as failure:
        fetch(hub, tmp_path)
    assert failure.value.code is ErrorCode.WORKSPACE
    assert hub.served == []


def test_the_record_holds_checksums(hub: FakeHub, tmp_path: Path) -> None:
    fetch(hub, tmp_path)
    record = json.loads((tmp_path / "fetched.json").read_text())
    assert len(record[f"InfiniteTalk/{SINGLE}"]) == 64


def test_every_group_has_files_and_no_file_has_two_rows() -> None:
    assert PARTS == ("base", "adapter", "speech", "loras", "kokoro")
    destinations = [row.destination(name) for row in PUBLISHED for name in row.files]
    assert len(destinations) == len(set(destinations))


def test_a_partial_download_needs_no_space_twice(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = tmp_path / module.PARTIAL / f"{sha256(b's' * 200_000)}.part"
    partial.parent.mkdir()
    partial.write_bytes(b"s" * 150_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=60_000))
    fetch(hub, tmp_path)
    assert (SINGLE, 150_000) in hub.served


def test_a_full_disk_is_not_reported_as_a_failure_of_the_hub(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_download", fill)
    with pytest.raises(StageError, match="No space left on device") as failed:
        fetch(hub, tmp_path)
    assert failed.value.code is ErrorCode.WORKSPACE


def test_two_commands_at_once_fetch_each_file_once(hub: FakeHub, tmp_path: Path) -> None:
    """Without the lock both would append to the same partial file."""
    with ThreadPoolExecutor(2) as pool:
        messages = [*pool.map(lambda _number: fetch(hub, tmp_path), range(2))]
    assert sorted(name for name, _ in hub.served) == [MULTI, SINGLE]
    assert sorted(run[-1] for run in messages) == ["0 files fetched, 2 were there", "2 files fetched, 0 were there"]


def test_a_folder_that_cannot_be_written_is_named(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("in the way")
    with pytest.raises(StageError, match="weights cannot be written") as failed:
        fetch(hub, tmp_path / "weights")
    assert failed.value.code is ErrorCode.WORKSPACE
