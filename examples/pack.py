"""Packs files into the ConfigMaps of the examples that need nothing to upload first: ``python examples/pack.py``.

Each is one file that ``kubectl apply`` and ``talkingvideo run`` both take.
"""

from __future__ import annotations

import base64
import textwrap
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Example:
    """One packed example.

    Attributes:
        resource: YAML of the TalkingVideo.
        origin: Where the media come from, in one line.
        config_map: Name of the ConfigMap.
        files: Files beside this one that it holds.
    """

    resource: str
    origin: str
    config_map: str
    files: tuple[str, ...]


HELLO = Example(
    resource="""\
# A portrait and a voice, packed into a ConfigMap, and the video that is made from them.
#   talkingvideo run examples/hello.yaml          on this machine
#   kubectl apply -f examples/hello.yaml          on a cluster with the operator
#   kubectl wait --for=condition=Complete tv/hello
apiVersion: talkingvideo.dev/v1alpha1
kind: TalkingVideo
metadata:
  name: hello
spec:
  engine: preview
  source:
    image: {uri: configmap://hello-media/portrait.jpg}
  speech:
    speakers:
      - audio: {uri: configmap://hello-media/voice.ogg}
""",
    origin="NASA's portrait of Eileen Collins (public domain); a synthetic voice. See README.md beside this file.",
    config_map="hello-media",
    files=("portrait.jpg", "voice.ogg"),
)

TEXT = Example(
    resource="""\
# The smallest video: a picture and a sentence, spoken by Kokoro if its weights are installed, otherwise by espeak-ng.
#   talkingvideo run examples/text.yaml           on this machine
#   kubectl apply -f examples/text.yaml           on a cluster with the operator
apiVersion: talkingvideo.dev/v1alpha1
kind: TalkingVideo
metadata:
  name: text
spec:
  engine: preview
  source:
    image: {uri: configmap://text-media/portrait.jpg}
  speech:
    speakers:
      - text: Good morning. Nobody had to record this sentence.
        voice: en-us
""",
    origin="NASA's portrait of Eileen Collins (public domain). See README.md beside this file.",
    config_map="text-media",
    files=("portrait.jpg",),
)

EXAMPLES = {"hello.yaml": HELLO, "text.yaml": TEXT}


def packed(example: Example) -> str:
    """The example's file as text."""
    text = f"""\
{example.resource}---
# {example.origin}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {example.config_map}
immutable: true
binaryData:
"""
    for name in example.files:
        encoded = base64.b64encode((HERE / name).read_bytes()).decode()
        text += f"  {name}: |\n{textwrap.indent(textwrap.fill(encoded, 120), '    ')}\n"
    return text


if __name__ == "__main__":
    for file, example in EXAMPLES.items():
        (HERE / file).write_text(packed(example), encoding="utf-8")
