"""Recordings of the published code: every weight and input is made again from its name, only outputs are stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def read_recording(part: str) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    with np.load(HERE / f"{part}.npz") as arrays:
        return json.loads((HERE / f"{part}.json").read_text()), dict(arrays)
