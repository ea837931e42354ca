"""Linear layers with 8-bit weights and one scale for each output.

A plain cast to 8-bit floats would put trained weights (deviations around 0.02) into their subnormal range, where two
bits are left of three; with a scale for each row, all of them are used, and Int8 has the same form. What is small or
sensitive stays as it is: norms, modulation, the embeddings of patches, time, text and image, the audio projection and
the last layer. They are 2 % of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from torch.nn.functional import ScalingType

from talkingvideo_api.spec import Quantization
from talkingvideo_worker.engines.infinitetalk.memory.retry import is_gpu_full

FORMATS: Mapping[Quantization, torch.dtype] = {
    Quantization.FP8: torch.float8_e4m3fn,
    Quantization.INT8: torch.int8,
}

FP8_CAPABILITY = (8, 9)
"""Compute capability from which GPUs multiply 8-bit floats (Ada; Hopper is 9.0)."""

SMALLEST = 1e-12
"""Scale of a row of zeros."""

MULTIPLE = 16
"""Sizes that cuBLAS's kernels for 8-bit floats take are multiples of this."""


class ScaledLinear(nn.Module):
    """A linear layer that keeps its weights in 8 bits and calculates in the format of its inputs.

    Args:
        inputs: Channels.
        outputs: Channels.
        dtype: ``float8_e4m3fn`` or ``int8``.
        bias: Whose values are added; its format stays.
    """

    bias: nn.Parameter | None

    def __init__(self, inputs: int, outputs: int, dtype: torch.dtype, bias: Tensor | None) -> None:
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.weight = _constant(torch.empty(outputs, inputs, dtype=dtype, device="meta"))
        self.scale = _constant(torch.empty(outputs, 1, dtype=torch.float32, device="meta"))
        self.register_parameter("bias", None if bias is None else _constant(bias))

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs), in the format of ``x``."""
        weight = self.weight.to(x.dtype) * self.scale.to(x.dtype)
        return F.linear(x, weight, None if self.bias is None else self.bias.to(x.dtype))


class Fp8MatmulLinear(ScaledLinear):
    """A linear layer that also multiplies in 8 bits. Inputs get a scale for each row."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs), in bfloat16."""
        codes, scale = quantised(x.flatten(0, -2), self.weight.dtype)
        bias = None if self.bias is None else self.bias.to(torch.bfloat16)
        unfolded: Tensor = fp8_product(codes, scale, self.weight, self.scale, bias).unflatten(0, x.shape[:-1])
        return unfolded


@dataclass(frozen=True)
class Quantisation:
    """Which weights become 8-bit codes, and how they calculate.

    Attributes:
        dtype: Of the codes.
        layer: Class of the layers.
    """

    dtype: torch.dtype
    layer: type[ScaledLinear]

    def prepare(self, model: nn.Module) -> None:
        """Replace the linear layers of a model's blocks, whose weights are still on the meta device.

        Args:
            model: With ``blocks``.
        """
        for block in model.get_submodule("blocks").children():
            for name, layer in list(block.named_modules()):
                if isinstance(layer, nn.Linear):
                    layers = self.layer if self._fits(layer) else ScaledLinear
                    replaced = layers(layer.in_features, layer.out_features, self.dtype, layer.bias)
                    block.set_submodule(name, replaced)

    def codes(self, name: str, weight: Tensor, model: nn.Module) -> dict[str, Tensor]:
        """What of a weight is kept, by names: codes and scale, or the weight itself where it is not quantised."""
        owner, _, leaf = name.rpartition(".")
        if leaf != "weight" or not isinstance(model.get_submodule(owner), ScaledLinear):
            return {name: weight}
        codes, scale = quantised(weight.float(), self.dtype)
        return {name: codes, f"{owner}.scale": scale}

    def _fits(self, layer: nn.Linear) -> bool:
        return layer.in_features % MULTIPLE == 0 and layer.out_features % MULTIPLE == 0


def quantisation_of(precision: Quantization, device: torch.device) -> Quantisation | None:
    """How a device does a precision; None for weights as they are."""
    if precision is Quantization.NONE:
        return None
    multiplies = precision is Quantization.FP8 and multiplies_fp8(device)
    return Quantisation(FORMATS[precision], Fp8MatmulLinear if multiplies else ScaledLinear)


def multiplies_fp8(device: torch.device) -> bool:
    """Whether a device multiplies 8-bit floats with a scale for each row.

    A product tells: not every GPU that could has a kernel in torch, which in 2.10 has none for 12.0 (its issue 192707).
    """
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < FP8_CAPABILITY:
        return False
    rows = torch.ones(MULTIPLE + 1, MULTIPLE, dtype=torch.bfloat16, device=device)  # the picture's are 257
    codes, scale = quantised(rows, torch.float8_e4m3fn)
    try:
        fp8_product(codes, scale, codes[:MULTIPLE], scale[:MULTIPLE], rows[0])
    except (RuntimeError, ValueError) as error:
        if is_gpu_full(error):
            raise
        return False
    return True


def fp8_product(codes: Tensor, scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer of codes.

    Sums keep what the tensor cores give (14 bits on Hopper), as is usual in inference: adding in float32 beside them is
    slower.

    Args:
        codes: Inputs (n, inputs).
        scale: Of each row, (n, 1), float32.
        weight: Codes (outputs, inputs).
        weight_scale: Of each row, (outputs, 1), float32.
        bias: (outputs), bfloat16.

    Returns:
        (n, outputs), bfloat16.
    """
    by_row = ScalingType.RowWise
    return F.scaled_mm(
        codes,
        weight.t(),
        scale,
        by_row,
        weight_scale.t(),
        by_row,
        bias=bias,
        output_dtype=torch.bfloat16,
        use_fast_accum=True,
    )


def quantised(rows: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Codes of each row over its full range.

    Calculated in the format of ``rows``, so that activations of 0.9 GB are not copied in float32; the scale is the
    inverse of the rounded factor.

    Args:
        rows: (n, channels).
        dtype: ``float8_e4m3fn`` or ``int8``.

    Returns:
        Codes (n, channels), and float32 scales (n, 1) that they are multiplied with.
    """
    integer = not dtype.is_floating_point
    largest = torch.iinfo(dtype).max if integer else torch.finfo(dtype).max
    peak = torch.maximum(rows.amax(-1, keepdim=True), -rows.amin(-1, keepdim=True)).float().clamp(min=SMALLEST)
    factor = (largest / peak).to(rows.dtype)
    scaled = rows * factor
    codes = (scaled.round_() if integer else scaled).clamp_(-largest, largest).to(dtype)
    return codes, factor.float().reciprocal()


def _constant(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)
