"""The memory of a call is what memory modes assume: counted with the full-size model on the meta device."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from talkingvideo_api.spec import Quantization
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode, Workload, call_bytes
from talkingvideo_worker.engines.infinitetalk.memory.quantization import Fp8MatmulLinear, Quantizer
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import BlockResidual
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.transformer import dtype_of, empty_transformer

PUBLISHED = {
    "dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 2, "freq_dim": 256, "in_dim": 36, "out_dim": 16,
    "text_dim": 4096, "eps": 1e-6,
}  # fmt: skip
SIZE = 640
META: Any = {"device": "meta", "dtype": torch.bfloat16}


class Held(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive at once, beside those that were there before."""

    def __init__(self, before: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seen = {tensor.untyped_storage()._cdata: 0 for tensor in before}
        self._held = 0
        self.peak = 0

    def __torch_dispatch__(
        self, act: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = act(*args, **(kwargs or {}))
        for tensor in pytree.tree_leaves(made):
            if isinstance(tensor, Tensor) and tensor.untyped_storage()._cdata not in self._seen:
                self._take(tensor.untyped_storage())
        return made

    def _take(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._seen[key] = size
        self._held += size
        self.peak = max(self.peak, self._held)
        weakref.finalize(storage, self._give_back, key)

    def _give_back(self, key: int) -> None:
        self._held -= self._seen.pop(key)


@pytest.fixture(autouse=True)
def _kernels_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold their result alone; the meta device's own attention would write all weights."""

    def attend(query: Tensor, key: Tensor, value: Tensor, **_options: Any) -> Tensor:
        assert query.shape[-1] == key.shape[-1] == value.shape[-1]
        return torch.empty_like(query)

    def multiply(left: Tensor, right: Tensor, *_scales: Any, output_dtype: torch.dtype, **_options: Any) -> Tensor:
        return torch.empty(left.shape[0], right.shape[1], dtype=output_dtype, device="meta")

    monkeypatch.setattr(F, "scaled_dot_product_attention", attend)
    monkeypatch.setattr(F, "scaled_mm", multiply)


def full_size(quantization: Quantization) -> AudioWanTransformer3DModel:
    model = empty_transformer(PUBLISHED)
    for name, value in model.named_parameters():
        value.data = value.data.to(dtype_of(name, torch.bfloat16))
    if quantization is Quantization.FP8:
        Quantizer(torch.float8_e4m3fn, Fp8MatmulLinear).prepare(model)
    model.rope.to("meta")
    model.requires_grad_(False)
    model.eval()
    return model


@torch.no_grad()
def held_bytes(model: AudioWanTransformer3DModel, speakers: int, cached: int) -> int:
    """Most of a step, whose predictions keep what the blocks did if they are cached."""
    latents = 21, SIZE // 8, SIZE // 8
    encoded_audio = model.encode_audio(
        torch.empty(speakers, 81, 5, 12, 768, **META), torch.empty(3, *latents[1:], device="meta")
    )
    seen, text, image = (
        torch.empty(1, 36, *latents, **META),
        torch.empty(1, 512, 4096, **META),
        torch.empty(1, 257, 1280, **META),
    )
    arounds: list[Any] = [BlockResidual().compute for _ in range(cached)] * 2 or [None]
    held = Held([*model.parameters(), *model.buffers()])
    with held:
        for around in arounds:
            time = torch.empty(1, device="meta")
            model(seen, time, text, image, return_dict=False, audio=encoded_audio, around_blocks=around)
    return held.peak


@pytest.mark.parametrize(
    ("quantization", "speakers", "cached"),
    [(Quantization.NONE, 1, 0), (Quantization.NONE, 2, 3), (Quantization.FP8, 2, 0)],
)
def test_a_call_takes_what_is_reckoned_with(quantization: Quantization, speakers: int, cached: int) -> None:
    workload = Workload(SIZE * SIZE, cached_branches=cached)
    reckoned = call_bytes(MemoryMode(quantization), workload)
    assert 0.92 * reckoned < held_bytes(full_size(quantization), speakers, cached) <= reckoned
