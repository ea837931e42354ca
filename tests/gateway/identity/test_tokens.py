"""Static tokens: who has one, and how the folder is read."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.gateway.identity.callers import ALICE, BOB, CAROL, DEFAULT, token_folder

from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.identity.tokens import LOOK_SECONDS, StaticTokens


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def caller(tokens: StaticTokens, key: str) -> Caller | None:
    return asyncio.run(tokens.by_key(key))


def test_a_file_is_a_token_or_says_more(tmp_path: Path) -> None:
    tokens = StaticTokens(token_folder(tmp_path / "t"), DEFAULT)
    alice, bob, carol = (caller(tokens, key) for key in (ALICE, BOB, CAROL))
    assert alice == Caller("alice", "films")
    assert bob is not None and carol is not None
    assert (bob.name, bob.namespace, bob.profile, bob.limits.unfinished) == ("bob", "films", "fast", 2)
    assert (carol.name, carol.namespace) == ("carol", "clips")


@pytest.mark.parametrize("key", ["", "wrong", ALICE[:-1], f"{ALICE} ", ALICE.upper(), "ä" * 20])
def test_nobody_else_is_known(tmp_path: Path, key: str) -> None:
    assert caller(StaticTokens(token_folder(tmp_path / "t"), DEFAULT), key) is None


def test_a_digest_stands_for_a_token_that_shall_not_be_readable(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"secret-of-dave-00001").hexdigest()
    (tmp_path / "dave").write_text(f"tokenSha256: {digest}\n")
    tokens = StaticTokens(tmp_path, DEFAULT)
    assert caller(tokens, "secret-of-dave-00001") == Caller("dave", "films")
    assert caller(tokens, digest) is None


def test_a_mounted_secret_is_read_through_its_links_and_again_when_it_changes(tmp_path: Path) -> None:
    """The kubelet writes a new folder, and then replaces the link to it."""
    for version, token in (("..1", ALICE), ("..2", BOB)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "n8n").write_text(token)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "n8n").symlink_to("..data/n8n")
    clock = Clock()
    tokens = StaticTokens(tmp_path, DEFAULT, clock=clock)
    assert caller(tokens, ALICE) == Caller("n8n", "films")
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    clock.now += LOOK_SECONDS
    assert caller(tokens, ALICE) is None
    assert caller(tokens, BOB) == Caller("n8n", "films")


def test_of_a_changed_folder_a_file_that_cannot_be_used_makes_only_its_caller_unknown(tmp_path: Path) -> None:
    clock = Clock()
    tokens = StaticTokens(token_folder(tmp_path / "t"), DEFAULT, clock=clock)
    (tmp_path / "t" / "alice").write_text("short")
    (tmp_path / "t" / "bob").write_text(f"token: {BOB}")
    clock.now += LOOK_SECONDS
    assert caller(tokens, ALICE) is None
    assert caller(tokens, BOB) is not None


@pytest.mark.parametrize(
    "content",
    ["", "short", "two words that are long enough", "token: [x]", "{", "nothing: here", "token: ''", b"\xff\xfe\x00"],
)
def test_a_file_that_cannot_be_used_is_named_at_the_start_and_its_content_is_not_shown(
    tmp_path: Path, content: str | bytes
) -> None:
    (tmp_path / "eve").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidRequestError, match="eve") as refused:
        StaticTokens(tmp_path, DEFAULT)
    assert "long enough" not in str(refused.value)


def test_a_namespace_that_is_not_served_and_a_folder_that_is_not_there_are_refused(tmp_path: Path) -> None:
    folder = token_folder(tmp_path / "t")
    with pytest.raises(InvalidRequestError, match="clips"):
        StaticTokens(folder, DEFAULT, ("films",))
    with pytest.raises(InvalidRequestError, match="missing"):
        StaticTokens(tmp_path / "missing", DEFAULT)
