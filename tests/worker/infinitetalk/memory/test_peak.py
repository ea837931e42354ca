"""How much memory loading takes at most."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.worker.infinitetalk.memory.conftest import CONFIG, UNSAID

from talkingvideo_worker.engines.infinitetalk.memory.loading import load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.modes import BLOCK_SLOTS, MemoryMode
from talkingvideo_worker.engines.infinitetalk.weights.headers import adapter_shapes, base_shapes
from talkingvideo_worker.engines.infinitetalk.weights.transformer import (
    THREADS,
    StoredTransformer,
    published_transformer,
)

BLOCKS = 8
WIDE = CONFIG | UNSAID | {"dim": 768, "ffn_dim": 3072, "num_heads": 6, "num_layers": BLOCKS}
LARGEST = 768 * 3072


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> StoredTransformer:
    folder = tmp_path_factory.mktemp("wide")
    (folder / "config.json").write_text(json.dumps(WIDE))
    base = {name: torch.zeros(shape) for name, shape in base_shapes(WIDE).items()}
    save_file(base, folder / "diffusion_pytorch_model-00001-of-00001.safetensors")
    save_file({name: torch.zeros(shape) for name, shape in adapter_shapes(WIDE).items()}, folder / "a.safetensors")
    return published_transformer(folder, folder / "a.safetensors")


def anonymous_memory() -> int:
    """Bytes of this process that are not files'."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


@pytest.mark.parametrize("resident", [BLOCKS, 0])
def test_weights_are_in_memory_once(wide: StoredTransformer, resident: int) -> None:
    gc.collect()
    before = peak = anonymous_memory()

    def progress(_fraction: float, _message: str) -> None:
        nonlocal peak
        peak = max(peak, anonymous_memory())

    mode = MemoryMode(resident=resident, blocks=BLOCKS)
    model, _ = load_transformer(wide, mode, torch.bfloat16, torch.device("cpu"), progress=progress)
    peak = max(peak, anonymous_memory())
    weights = sum(value.nbytes for value in model.state_dict().values())
    slots = BLOCK_SLOTS / BLOCKS * weights if resident == 0 else 0
    in_flight = (THREADS + 2) * LARGEST * (4 + 2)
    assert weights > 200_000_000
    assert peak - before < 1.05 * weights + slots + in_flight
