"""A picture and a sound in a request, a video in the answer: everything is real."""

from __future__ import annotations

import base64
import io
import math
import struct
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
import runpod
from tests.gateway.serving import served

from talkingvideo_gateway.app import create_app
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.identity.loopback import EverybodyIs
from talkingvideo_gateway.local.backend import LocalOptions, local_backend
from talkingvideo_gateway.settings import GatewayConfig

pytestmark = pytest.mark.media

PICTURE = Path(__file__).parents[4] / "docs/hello.jpg"
RATE = 16_000


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A gateway that makes videos."""
    backend = local_backend(LocalOptions(tmp_path, engine="preview"))
    app = create_app(GatewayConfig(), backend, EverybodyIs(Caller("tester", "default")), "of-the-tests")
    with served(app) as address:
        yield f"{address}/v2"


def sound(seconds: float) -> bytes:
    """A tone that comes and goes."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        times = (index / RATE for index in range(int(seconds * RATE)))
        levels = (0.4 * math.sin(880 * math.pi * t) * math.sin(3 * math.pi * t) for t in times)
        file.writeframes(b"".join(struct.pack("<h", int(level * 32_767)) for level in levels))
    return content.getvalue()


def test_the_hub_s_worker_s_request_is_a_video(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runpod, "endpoint_url_base", url)
    request = {
        "image_base64": base64.b64encode(PICTURE.read_bytes()).decode(),
        "wav_base64": base64.b64encode(sound(0.6)).decode(),
        "width": 320,
        "height": 320,
    }
    job = runpod.Endpoint("talking", api_key="any").run(request)
    output = job.output(timeout=120)

    assert job.status() == "COMPLETED"
    assert base64.b64decode(output["video"])[4:8] == b"ftyp"
