"""A painted mask marks a speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.engines.pictures import load_mask
from talkingvideo_worker.media.picture import fit_mask, read_mask, write_mask

FIELD = "spec.speech.speakers[0].mask.uri"
PAINTED = np.zeros((80, 100), np.bool_)
PAINTED[20:60, 10:40] = True


def saved(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def read(path: Path) -> np.ndarray:
    return read_mask(path, InputLimits(), FIELD)


@pytest.mark.parametrize("form", ["grey", "colour", "black and white", "transparent elsewhere", "jpeg"])
def test_white_is_where_the_speaker_is(tmp_path: Path, form: str) -> None:
    levels = PAINTED.astype(np.uint8) * 255
    colours = np.repeat(levels[..., None], 3, 2)
    if form == "grey":
        path = saved(tmp_path / "m.png", levels)
    elif form == "colour":
        path = saved(tmp_path / "m.png", colours)
    elif form == "black and white":
        path = saved(tmp_path / "m.png", PAINTED)
    elif form == "jpeg":
        path = saved(tmp_path / "m.jpg", colours)
    else:
        path = saved(tmp_path / "m.png", np.dstack([np.full_like(colours, 255), levels]))
    assert np.array_equal(read(path), PAINTED)


def test_soft_edges_are_cut_in_the_middle(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    assert read(saved(tmp_path / "m.png", ramp)).sum(1).tolist() == [128] * 64


def test_a_file_that_is_not_a_picture_is_refused_with_its_field(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(b"white")
    with pytest.raises(StageError) as refused:
        read(tmp_path / "m.png")
    assert (refused.value.code, refused.value.field) == (ErrorCode.INPUT_VALIDATION, FIELD)


def test_a_part_is_cut_out_and_scaled_without_new_levels() -> None:
    assert np.array_equal(fit_mask(PAINTED, (0, 0, 1, 1), 100, 80), PAINTED)
    part = fit_mask(PAINTED, (0.0, 0.25, 0.5, 0.75), 100, 80)
    assert part[:, 20:80].all()
    assert not part[:, :20].any()
    assert not part[:, 80:].any()


def test_a_written_mask_is_read_back(tmp_path: Path) -> None:
    write_mask(PAINTED, tmp_path / "mask-0.png")
    assert np.array_equal(load_mask(tmp_path / "mask-0.png"), PAINTED)
    assert Image.open(tmp_path / "mask-0.png").mode == "L"
