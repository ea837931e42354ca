"""Packs files into the ConfigMap of an example: ``python examples/pack.py > examples/hello.yaml``.

The example must be one file that ``kubectl apply`` and ``talkingvideo run`` both take, without anything to upload first.
"""

from __future__ import annotations

import base64
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent

OBJECT = """\
# A portrait and a voice, packed as a ConfigMap, and the video to make of them.
#   talkingvideo run examples/hello.yaml          here, without a cluster
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
---
# NASA's portrait of Eileen Collins (public domain); a synthetic voice. See README.md beside this file.
apiVersion: v1
kind: ConfigMap
metadata:
  name: hello-media
immutable: true
binaryData:
"""


def packed(*names: str) -> str:
    """The example as YAML."""
    text = OBJECT
    for name in names:
        encoded = base64.b64encode((HERE / name).read_bytes()).decode()
        text += f"  {name}: |\n{textwrap.indent(textwrap.fill(encoded, 120), '    ')}\n"
    return text


if __name__ == "__main__":
    sys.stdout.write(packed("portrait.jpg", "voice.ogg"))
