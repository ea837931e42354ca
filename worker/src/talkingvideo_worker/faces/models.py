"""The neural networks: model files from the mediapipe wheel, run on the CPU by LiteRT.

None of mediapipe's own code is imported: its wheel only supplies the files (see the worker's pyproject.toml).
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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError

SHORT_RANGE = "face_detection/face_detection_short_range.tflite"
FULL_RANGE = "face_detection/face_detection_full_range_sparse.tflite"
MESH = "face_landmark/face_landmark.tflite"

STDERR = 2
"""File descriptor to which native code writes its messages."""


class Model:
    """One network with one picture as its input. Safe to share between threads.

    Args:
        path: The tflite file.
    """

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter  # 60 MB: loaded only when faces are searched

        with _without_info_lines():
            self._interpreter = Interpreter(str(path), num_threads=1)
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
    """Load a network once per process."""
    return Model(_path(name))


@cache
def models_digest() -> str:
    """Identify the networks' files: sha256 in hex."""
    digest = hashlib.sha256()
    for name in (SHORT_RANGE, FULL_RANGE, MESH):
        digest.update(_path(name).read_bytes())
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


def _path(name: str) -> Path:
    spec = find_spec("mediapipe")
    if spec is None or not spec.submodule_search_locations:
        raise StageError(
            ErrorCode.PIPELINE_LOAD,
            "The face models are missing: install mediapipe 0.10.21, whose wheel contains them.",
        )
    path = Path(spec.submodule_search_locations[0]) / "modules" / name
    if not path.is_file():
        raise StageError(
            ErrorCode.PIPELINE_LOAD,
            f"The installed mediapipe does not contain {name}: version 0.10.21 does, later versions do not.",
        )
    return path
