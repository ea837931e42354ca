"""The neural networks: MediaPipe's model files, run on the CPU by LiteRT.

The files in ``networks/`` are those of the wheel of mediapipe 0.10.21, unchanged (Apache-2.0, see NOTICE). The wheel itself is
not installed: it exists for Python 3.12 and older only, later ones hold no models, and nothing of its code is used.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError

SHORT_RANGE = "face_detection_short_range.tflite"
FULL_RANGE = "face_detection_full_range_sparse.tflite"
MESH = "face_landmark.tflite"

NETWORKS = Path(__file__).parent / "networks"
"""The folder of the files."""

_SHA256 = {
    SHORT_RANGE: "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    FULL_RANGE: "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    MESH: "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
}

STDERR = 2
"""File descriptor to which native code writes its messages."""


class Model:
    """One network with one picture as its input. Safe to share between threads.

    Args:
        content: The bytes of a tflite file.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter  # 60 MB: only who looks for faces pays

        with _without_info_lines():
            self._interpreter = Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        self._input: dict[str, Any] = self._interpreter.get_input_details()[0]
        self._outputs: list[dict[str, Any]] = self._interpreter.get_output_details()
        self._lock = threading.Lock()

    @property
    def side(self) -> int:
        """Height and width of the input in pixels."""
        return int(self._input["shape"][1])

    def run(self, picture: NDArray[np.floating]) -> list[NDArray[np.floating]]:
        """Run the network on one picture (side, side, 3), scaled as the network expects it."""
        with self._lock:
            self._interpreter.set_tensor(self._input["index"], picture[np.newaxis])
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output["index"]) for output in self._outputs]


@cache
def model(name: str) -> Model:
    """Load a network once per process.

    Raises:
        StageError: E_PIPELINE_LOAD when its file is missing or damaged.
    """
    return Model(_content(name))


@cache
def models_digest() -> str:
    """Identify the networks' files: sha256 in hex."""
    digest = hashlib.sha256()
    for name in (SHORT_RANGE, FULL_RANGE, MESH):
        digest.update(_content(name))
    return digest.hexdigest()


@contextmanager
def _without_info_lines() -> Iterator[None]:
    """Keep LiteRT's ``INFO:`` lines off stderr, where they would break a progress bar; LiteRT has no setting for that.

    Everything else written to stderr meanwhile is passed on at the end.
    """
    sys.stderr.flush()
    stderr = os.dup(STDERR)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), STDERR)
        try:
            yield
        finally:
            os.dup2(stderr, STDERR)
            os.close(stderr)
            caught.seek(0)
            for line in caught:
                if not line.startswith(b"INFO: "):
                    os.write(STDERR, line)


def _content(name: str) -> bytes:
    path = NETWORKS / name
    if not path.is_file():
        raise StageError(
            ErrorCode.PIPELINE_LOAD, f"The face model {path} is missing: install talkingvideo-worker again."
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256[name]:
        raise StageError(
            ErrorCode.PIPELINE_LOAD,
            f"The face model {path} is damaged (its sha256 is wrong): install talkingvideo-worker again.",
        )
    return content
