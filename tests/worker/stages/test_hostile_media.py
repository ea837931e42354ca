"""Hostile media end prepare in words, with the field that named them; in a local run as in a pod."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.worker.media.test_bombs import fragment_of, progressive
from tests.worker.stages.conftest import StageInputFactory
from tests.worker.stages.test_sources import prepared

from talkingvideo_api.errors import ErrorCode, StageError

pytestmark = pytest.mark.media


def line(path: Path) -> Path:
    Image.new("RGB", (64, 6_400)).save(path, "PNG")
    return path


def infinite(path: Path) -> Path:
    """A WAV of floating-point numbers, some of which are none."""
    samples = np.tile(np.array([np.nan, np.inf, -np.inf, 1e38, 0.1], "<f4"), 4_000).tobytes()
    form = struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples)) + samples
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def audio(path: Path) -> dict[str, Any]:
    return {"speech": {"speakers": [{"audio": {"uri": path.as_uri()}}]}}


def image(path: Path) -> dict[str, Any]:
    return {"source": {"image": {"uri": path.as_uri()}}}


def video(path: Path) -> dict[str, Any]:
    return {"source": {"video": {"uri": path.as_uri()}}}


HOSTILE = [
    (line, image, "spec.source.image.uri"),
    (lambda path: progressive(path, 200), image, "spec.source.image.uri"),
    (lambda path: fragment_of(path, 1_000_000), audio, "spec.speech.speakers[0].audio.uri"),
    (lambda path: fragment_of(path, 1_000_000), video, "spec.source.video.uri"),
]


@pytest.mark.parametrize(("make", "as_input", "field"), HOSTILE)
def test_the_video_fails_with_the_inputs_field(
    new_stage_input: StageInputFactory,
    tmp_path: Path,
    make: Callable[[Path], Path],
    as_input: Callable[[Path], dict[str, Any]],
    field: str,
) -> None:
    with pytest.raises(StageError) as caught:
        prepared(new_stage_input(**as_input(make(tmp_path / "in"))), tmp_path / "scratch")
    assert (caught.value.code, caught.value.field) == (ErrorCode.INPUT_VALIDATION, field)
    assert not caught.value.retryable


def test_sound_that_is_no_number_becomes_sound(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    """FFmpeg's encoder refuses it, hours later and without a field."""
    plan, folder = prepared(new_stage_input(**audio(infinite(tmp_path / "in"))), tmp_path / "scratch")
    assert plan.sound_seconds == 1.25
    assert (folder / "sound.m4a").stat().st_size > 0
