"""The rendered and the delivered size."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.objects import video

from talkingvideo_api.effective import resolve
from talkingvideo_api.profile import Profile, S3Store, Store
from talkingvideo_worker.stages.prepare.sizes import Size, Sizes, choose_sizes

PROFILE = Profile(worker_image="w", stores={"default": Store(s3=S3Store(bucket="b"))})


def sizes(source: Size, **fields: Any) -> Sizes:
    spec = video(engine="preview", video=fields).spec
    return choose_sizes(resolve(spec, PROFILE, profile_name="default", uid="u", revision="r"), source)


@pytest.mark.parametrize(
    ("source", "fields", "rendered", "delivered"),
    [
        (Size(512, 512), {}, Size(640, 640), Size(640, 640)),
        (Size(600, 800), {}, Size(576, 704), Size(576, 704)),
        (Size(512, 512), {"resolution": "720p"}, Size(960, 960), Size(960, 960)),
        (Size(512, 512), {"aspectRatio": "16:9"}, Size(896, 448), Size(796, 448)),
        (Size(512, 512), {"aspectRatio": "9:16"}, Size(448, 832), Size(448, 796)),
        (Size(512, 512), {"width": 1280, "height": 720}, Size(896, 448), Size(1280, 720)),
        (Size(512, 512), {"width": 1280, "height": 720, "fit": "Pad"}, Size(640, 640), Size(1280, 720)),
    ],
)
def test_the_models_nearest_size_is_rendered_and_the_wanted_shape_is_delivered(
    source: Size, fields: dict[str, Any], rendered: Size, delivered: Size
) -> None:
    assert sizes(source, **fields) == Sizes(rendered, delivered)


@given(
    st.integers(64, 8_000),
    st.integers(64, 8_000),
    st.sampled_from(["Source", "16:9", "9:16", "1:1", "3:4", "4:3"]),
    st.sampled_from(["480p", "720p"]),
)
def test_every_size_is_even_and_what_is_delivered_lies_inside_what_is_rendered(
    width: int, height: int, shape: str, resolution: str
) -> None:
    chosen = sizes(Size(width, height), aspectRatio=shape, resolution=resolution)
    assert chosen.rendered.width % 64 == chosen.rendered.height % 64 == 0
    assert chosen.delivered.width % 2 == chosen.delivered.height % 2 == 0
    assert chosen.delivered.width <= chosen.rendered.width
    assert chosen.delivered.height <= chosen.rendered.height
    if shape != "Source":
        wanted = math.prod(float(part) ** sign for part, sign in zip(shape.split(":"), (1, -1), strict=True))
        assert chosen.delivered.width / chosen.delivered.height == pytest.approx(wanted, rel=0.01)
