"""NOTICE says what the locked packages really hold."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av._core import library_meta

ROOT = Path(__file__).parents[2]
NOTICE = " ".join((ROOT / "NOTICE").read_text().split())


@pytest.mark.parametrize("library", ["libx264", "libx265"])
def test_pyav_is_built_with_gpl_encoders(library: str) -> None:
    assert f"--enable-{library}" in library_meta["libavcodec"]["configuration"], "NOTICE may say that there is none"
    assert f"{library} GPL-2.0-or-later" in NOTICE


def test_pyav_brings_no_other_software_encoder_for_h264() -> None:
    assert "libopenh264" not in av.codecs_available, "a build without GPL parts may be possible now: see NOTICE"
    assert "There is no build of the worker without GPL parts." in NOTICE


def test_ffmpeg_reports_what_notice_says_it_reports() -> None:
    assert library_meta["libavcodec"]["license"] == "LGPL version 3 or later"
    assert 'FFmpeg reports "LGPL version 3 or later"' in NOTICE


@pytest.mark.parametrize(
    "file", sorted((ROOT / "worker/src/talkingvideo_worker/faces/networks").iterdir()), ids=lambda file: file.name
)
def test_every_model_file_in_the_package_is_named(file: Path) -> None:
    assert file.name in NOTICE
