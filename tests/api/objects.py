"""TalkingVideos for tests, as users would write them."""

from __future__ import annotations

import copy
from typing import Any

from talkingvideo_api.resource import TalkingVideo, parse

SMALLEST: dict[str, Any] = {
    "apiVersion": "talkingvideo.dev/v1alpha1",
    "kind": "TalkingVideo",
    "metadata": {"name": "hello", "namespace": "media"},
    "spec": {
        "source": {"image": {"uri": "s3://media/face.png"}},
        "speech": {"speakers": [{"audio": {"uri": "s3://media/hello.wav"}}]},
    },
}


def document(**spec: Any) -> dict[str, Any]:
    """The smallest useful object, with these fields of the spec set."""
    made = copy.deepcopy(SMALLEST)
    made["spec"].update(spec)
    return made


def video(**spec: Any) -> TalkingVideo:
    """The same, parsed."""
    return parse(document(**spec))
