"""What the frames are made of, and that it doesn't matter how they are cut into chunks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from tests.worker.preview.conftest import MakeRenderInput, babble

from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import Portrait, PreparedEngine, RenderInput
from talkingvideo_worker.engines.preview import PreviewEngine
from talkingvideo_worker.faces import Picture
from talkingvideo_worker.units import Frame

pytestmark = pytest.mark.media


def prepared(render_input: RenderInput, folder: Path) -> tuple[PreviewEngine, PreparedEngine]:
    report = PreviewEngine().prepare(render_input, folder)
    engine = PreviewEngine()
    engine.load(render_input, folder, render_input.frames)
    return engine, report


def drawn(engine: PreviewEngine, start: int, *windows: int) -> list[Frame]:
    return [frame for window in engine.render(ChunkFrames(start, windows)) for frame in window.frames]


def same(some: list[Frame], others: list[Frame]) -> bool:
    return len(some) == len(others) and all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


def film(path: Path, picture: Picture, frames: int) -> Portrait:
    """A video portrait that sways."""
    height, width = picture.shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "12", "crf": "15"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), 4 * np.sin(number / 5), 1.05)
            moved = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(moved, np.uint8), format="rgb24")))
        container.mux(stream.encode())
    return Portrait(path, True, width, height)


def test_frames_do_not_depend_on_chunks(portrait: Picture, make_render_input: MakeRenderInput, tmp_path: Path) -> None:
    render_input = make_render_input(portrait, babble(3.2))
    engine, _ = prepared(render_input, tmp_path / "engine")
    whole = drawn(engine, 0, render_input.frames)
    assert render_input.frames == 80
    assert same(whole, drawn(engine, 0, 17) + drawn(engine, 17, 30, 3) + drawn(engine, 50, 29, 1))
    fresh = PreviewEngine()
    fresh.load(render_input, tmp_path / "engine", render_input.frames)
    assert same(whole[40:60], drawn(fresh, 40, 20))


def test_frames_of_a_video_portrait_do_not_depend_on_chunks(
    portrait: Picture, make_render_input: MakeRenderInput, tmp_path: Path
) -> None:
    """Also past the video's end, where its last frame holds."""
    render_input = replace(make_render_input(portrait, babble(2.4)), portrait=film(tmp_path / "film.mp4", portrait, 40))
    engine, report = prepared(render_input, tmp_path / "engine")
    assert report.details["faces"] == 1
    whole = drawn(engine, 0, render_input.frames)
    assert same(whole, drawn(engine, 0, 13, 20) + drawn(engine, 33, 7) + drawn(engine, 40, 15) + drawn(engine, 55, 5))
    assert not np.array_equal(whole[5], whole[15])


def test_rendering_goes_on_at_a_window(portrait: Picture, make_render_input: MakeRenderInput, tmp_path: Path) -> None:
    render_input = make_render_input(portrait, babble(2))
    engine, _ = prepared(render_input, tmp_path / "engine")
    chunk = ChunkFrames(5, (12, 10, 8))
    rest = list(engine.render(chunk, first=1))
    assert [window.index for window in rest] == [1, 2]
    assert all(window.state is None for window in rest)


def test_the_rest_of_a_chunk_is_what_it_would_have_been(
    portrait: Picture, make_render_input: MakeRenderInput, tmp_path: Path
) -> None:
    render_input = make_render_input(portrait, babble(2))
    engine, _ = prepared(render_input, tmp_path / "engine")
    resumed = [frame for window in engine.render(ChunkFrames(5, (12, 10, 8)), first=1) for frame in window.frames]
    assert same(resumed, drawn(engine, 17, 18))


def test_frames_are_drawn_only_when_asked_for(
    portrait: Picture, make_render_input: MakeRenderInput, tmp_path: Path
) -> None:
    render_input = make_render_input(portrait, babble(1))
    engine, _ = prepared(render_input, tmp_path / "engine")
    window = next(engine.render(ChunkFrames(0, (10_000_000,))))
    assert next(window.frames).shape == portrait.shape


def test_a_seed_moves_the_head_its_own_way(
    portrait: Picture, make_render_input: MakeRenderInput, tmp_path: Path
) -> None:
    sound = babble(2)
    one, other = (
        drawn(prepared(make_render_input(portrait, sound, seed=seed), tmp_path / str(seed))[0], 10, 1)[0]
        for seed in (1, 2)
    )
    assert not np.array_equal(one, other)


def test_each_of_two_speakers_has_a_face(couple: Picture, make_render_input: MakeRenderInput, tmp_path: Path) -> None:
    """Only the one on the right speaks: only that mouth opens."""
    sound = babble(2)
    render_input = make_render_input(couple, np.zeros_like(sound), sound)
    engine, report = prepared(render_input, tmp_path / "engine")
    speakers = engine._speakers
    assert report.warnings == ()
    assert speakers[0].mouth.max() == 0
    assert speakers[1].mouth[:, 0].max() > 0.1
    left, right = (motion.points_at(0) for motion in speakers)
    assert left is not None and right is not None
    assert np.nanmax(left[:, 0]) < couple.shape[1] / 2 < np.nanmin(right[:, 0])


def test_a_region_picks_the_face(couple: Picture, make_render_input: MakeRenderInput, tmp_path: Path) -> None:
    render_input = make_render_input(couple, babble(1))
    right = replace(render_input, tracks=(replace(render_input.tracks[0], region=(0.5, 0.0, 0.5, 1.0)),))
    points = prepared(right, tmp_path / "engine")[0]._speakers[0].points_at(0)
    assert points is not None
    assert np.nanmin(points[:, 0]) > couple.shape[1] / 2


def test_without_a_face_the_picture_still_moves_with_the_sound(
    landscape: Picture, make_render_input: MakeRenderInput, tmp_path: Path
) -> None:
    sound = np.concatenate([np.zeros(16_000), babble(1)])
    engine, report = prepared(make_render_input(landscape, sound), tmp_path / "engine")
    frames = drawn(engine, 0, 50)
    foot = np.array([np.abs(frame[180:, 120:200].astype(int) - frames[0][180:, 120:200]).mean() for frame in frames])
    assert report.details["faces"] == 0
    assert any("bars follow the sound" in warning for warning in report.warnings)
    assert foot[28:45].max() > 2 * foot[5:22].max()


def test_every_frame_is_marked_as_a_preview(
    portrait: Picture, make_render_input: MakeRenderInput, tmp_path: Path
) -> None:
    white, black = (np.full_like(portrait, level) for level in (255, 0))
    for number, picture in enumerate((white, black)):
        engine, _ = prepared(make_render_input(picture, babble(0.2)), tmp_path / str(number))
        (frame,) = drawn(engine, 3, 1)
        corner = frame[-40:, -90:].astype(int)
        assert np.ptp(corner) > 80
        assert np.ptp(frame[:40, :90]) == 0


def test_the_chunk_digest_tells_what_changes_its_pixels(
    portrait: Picture, landscape: Picture, make_render_input: MakeRenderInput, tmp_path: Path
) -> None:
    sound = babble(20)
    later = sound.copy()
    later[-16_000:] = sound[-24_000:-8_000]
    first, last = ChunkFrames(0, (300,)), ChunkFrames(300, (200,))

    def digests(name: str, render_input: RenderInput) -> tuple[str, str]:
        engine, _ = prepared(render_input, tmp_path / name)
        return (
            engine.chunk_digest(render_input, tmp_path / name, first),
            engine.chunk_digest(render_input, tmp_path / name, last),
        )

    usual = digests("usual", make_render_input(portrait, sound))
    assert digests("again", make_render_input(portrait, sound)) == usual
    assert usual[0] != usual[1]
    changed = digests("later", make_render_input(portrait, later))
    assert changed[0] == usual[0]
    assert changed[1] != usual[1]
    assert digests("picture", make_render_input(landscape, sound))[0] != usual[0]
    assert digests("seed", make_render_input(portrait, sound, seed=8))[0] != usual[0]


def test_frames_are_drawn_after_loading() -> None:
    with pytest.raises(RuntimeError, match="load"):
        list(next(PreviewEngine().render(ChunkFrames(0, (1,)))).frames)
