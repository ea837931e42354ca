"""What the device makes of single matrix products and attentions of a call's sizes: the prediction for the call.

Operands are random: zeros multiply faster, for they need less power. Nothing else of a call is in the prediction, no
norms, modulation, rotary or copies, so a call cannot quite reach it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn
from infinitetalk.plan import Arithmetic
from infinitetalk.timers import Timer, median_seconds
from infinitetalk.work import Attention, CallWork, Gemm
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.memory.quantization import fp8_matmul, quantize, supports_fp8_matmul

BACKENDS = ("native", "_native_cudnn", "_native_flash", "flash", "_flash_3")
"""Exact ones that need no download; those that are not installed are left out."""

BF16, FP8 = torch.bfloat16, torch.float8_e4m3fn


@dataclass(frozen=True)
class GemmFigure:
    """One size of matrix product."""

    rows: int
    inputs: int
    outputs: int
    arithmetic: Arithmetic
    seconds: float

    @property
    def flops_per_second(self) -> float:
        """Of the device."""
        return 2 * self.rows * self.inputs * self.outputs / self.seconds


@dataclass(frozen=True)
class AttentionFigure:
    """One size of attention by one back end."""

    attention: Attention
    backend: str
    seconds: float

    @property
    def flops_per_second(self) -> float:
        """Of the device."""
        return self.attention.flops / self.seconds


class Microbenchmarks:
    """Times sizes, each once.

    Args:
        device: Where.
        timer: For it.
    """

    def __init__(self, device: torch.device, timer: Timer) -> None:
        self._device, self._timer = device, timer
        self._gemms: dict[tuple[int, int, int, Arithmetic], GemmFigure] = {}
        self._attentions: dict[tuple[int, ...], list[AttentionFigure]] = {}

    @property
    def gemms(self) -> Sequence[GemmFigure]:
        """All that were timed."""
        return list(self._gemms.values())

    @property
    def attentions(self) -> Sequence[AttentionFigure]:
        """All that were timed, by every back end."""
        return [figure for figures in self._attentions.values() for figure in figures]

    def predicted_seconds(self, work: CallWork, arithmetic: Arithmetic) -> float:
        """How long a call takes if it multiplies as fast as single products and the fastest attention do.

        Args:
            work: The call's.
            arithmetic: Of the quantisable layers. Weights that are only stored in 8 bits multiply in bfloat16.
        """
        gemms = sum(gemm.count * self.gemm(gemm, self._multiplied(gemm, arithmetic)).seconds for gemm in work.gemms)
        attentions = (attention.count * self._fastest(attention).seconds for attention in work.attentions)
        return gemms + sum(attentions)

    def gemm(self, gemm: Gemm, arithmetic: Arithmetic) -> GemmFigure:
        """Time one size of matrix product."""
        key = (gemm.rows, gemm.inputs, gemm.outputs, arithmetic)
        if key not in self._gemms:
            product = _fp8_product if arithmetic is Arithmetic.FP8_MATMULS else _bf16_product
            action = product(*key[:3], self._device)
            self._gemms[key] = GemmFigure(*key, median_seconds(action, self._timer))
        return self._gemms[key]

    def attention(self, attention: Attention) -> Sequence[AttentionFigure]:
        """Time one size of attention by every back end that is there."""
        sizes = attention.batch, attention.heads, attention.queries, attention.keys
        key = (*sizes, attention.channels, attention.value_channels)
        if key not in self._attentions:
            query, key_, value = _operands(attention, self._device)
            usable = [*self._usable_backends(query, key_, value)]
            self._attentions[key] = [
                AttentionFigure(attention, backend, median_seconds(action, self._timer)) for backend, action in usable
            ]
        return self._attentions[key]

    def _fastest(self, attention: Attention) -> AttentionFigure:
        return min(self.attention(attention), key=lambda figure: figure.seconds)

    def _multiplied(self, gemm: Gemm, arithmetic: Arithmetic) -> Arithmetic:
        in_fp8 = arithmetic is Arithmetic.FP8_MATMULS and gemm.quantisable and supports_fp8_matmul(self._device)
        return Arithmetic.FP8_MATMULS if in_fp8 else Arithmetic.BF16

    def _usable_backends(self, query: Tensor, key: Tensor, value: Tensor) -> Sequence[tuple[str, Callable[[], object]]]:
        """Those that calculate these operands here; PyTorch's own always does."""

        def attending(backend: str) -> Callable[[], object]:
            name = AttentionBackendName(backend)
            return lambda: dispatch_attention_fn(query, key, value, backend=name)

        usable = []
        for backend in BACKENDS:
            action = attending(backend)
            if backend == BACKENDS[0] or self._runs(action):
                usable.append((backend, action))
        return usable

    def _runs(self, action: Callable[[], object]) -> bool:
        try:
            self._timer.seconds(action)
        except torch.OutOfMemoryError:
            raise
        except Exception:
            # Back ends refuse in many ways: not installed, wrong size, wrong device.
            return False
        return True


def _bf16_product(rows: int, inputs: int, outputs: int, device: torch.device) -> Callable[[], object]:
    left, weight, bias = (_random(size, device) for size in ((rows, inputs), (outputs, inputs), (outputs,)))
    return lambda: F.linear(left, weight, bias)


def _fp8_product(rows: int, inputs: int, outputs: int, device: torch.device) -> Callable[[], object]:
    """The product alone: its left side is quantised already."""
    left, left_scale = quantize(_random((rows, inputs), device), FP8)
    weight, weight_scale = quantize(_random((outputs, inputs), device), FP8)
    bias = _random((outputs,), device)
    return lambda: fp8_matmul(left, left_scale, weight, weight_scale, bias)


def _operands(attention: Attention, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values as the model has them: (batch, tokens, heads, channels)."""
    sizes = (
        (attention.queries, attention.channels),
        (attention.keys, attention.channels),
        (attention.keys, attention.value_channels),
    )
    query, key, value = (
        _random((attention.batch, tokens, attention.heads, channels), device) for tokens, channels in sizes
    )
    return query, key, value


def _random(size: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.randn(size, dtype=BF16, device=device) / math.sqrt(size[-1])
