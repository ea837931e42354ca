"""Render reads the motion that prepare wrote as input: prepare parses strangers' media, and may write anything."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.preview.motion import (
    MAX_SUMMARY,
    SERIES,
    SUMMARY,
    TRACKS,
    SpeakerMotion,
    load_motion,
    save_motion,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    series = (np.zeros((10, 6), np.float32), np.zeros(10, np.float32), np.zeros((10, 3), np.float32), np.zeros((10, 8)))
    save_motion(tmp_path, [SpeakerMotion(*series, skin=np.array([1, 2, 3], np.float32))])
    return tmp_path


def test_the_motion_is_read_as_it_was_written(folder: Path) -> None:
    (motion,) = load_motion(folder)
    assert motion.mouth.shape == (10, 6)
    assert motion.skin.tolist() == [1, 2, 3]
    assert motion.points is None


def compressed(folder: Path) -> None:
    arrays: dict[str, Any] = {f"{name}_0": np.zeros((5_000_000, 6), np.float32) for name in SERIES}
    np.savez_compressed(folder / TRACKS, **arrays)


def texts(folder: Path) -> None:
    arrays: dict[str, Any] = {f"{name}_0": np.array(["x"]) for name in SERIES}
    np.savez(folder / TRACKS, **arrays)


def header_of_terabytes(folder: Path) -> None:
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }\n"
    with zipfile.ZipFile(folder / TRACKS, "w") as archive:
        archive.writestr("mouth_0.npy", b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode())


ATTACKS: dict[str, Callable[[Path], object]] = {
    "a bomb": compressed,
    "a header of terabytes": header_of_terabytes,
    "objects": lambda folder: np.savez(folder / TRACKS, mouth_0=np.array([{}], dtype=object)),
    "texts": texts,
    "no arrays": lambda folder: np.savez(folder / TRACKS),
    "no archive": lambda folder: (folder / TRACKS).write_bytes(b"x"),
    "an endless summary": lambda folder: (folder / SUMMARY).write_text(" " * (MAX_SUMMARY + 1)),
    "deep JSON": lambda folder: (folder / SUMMARY).write_text("[" * 4_000),
    "many speakers": lambda folder: (folder / SUMMARY).write_text(
        json.dumps({"parts": [{"face": False, "skin": [0, 0, 0]}] * 50})
    ),
    "another summary": lambda folder: (folder / SUMMARY).write_text('{"parts": [{"face": "/etc/passwd", "skin": []}]}'),
    "a summary of nothing": lambda folder: (folder / SUMMARY).write_text("null"),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_anything_else_ends_in_words_and_takes_no_memory(folder: Path, attack: Callable[[Path], object]) -> None:
    attack(folder)
    with pytest.raises(StageError, match="is not what prepare writes") as refused:
        load_motion(folder)
    assert refused.value.code is ErrorCode.WORKSPACE
    assert not refused.value.retryable
