"""Recordings of the published code: every weight and input is made again from its name, only outputs are stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def read_recording(part: str) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    with np.load(HERE / f"{part}.npz") as arrays:
        return json.loads((HERE / f"{part}.json").read_text()), dict(arrays)
