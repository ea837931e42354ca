"""Linear layers with 8-bit weights and one scale for each output.

A plain cast to 8-bit floats would put trained weights (deviations around 0.02) into the format's subnormal range, where
two of the three bits of the mantissa are left; with a scale for each row all of them are used, and Int8 has the same form.
What is small or sensitive is not quantised: norms, modulation, the embeddings of patches, time, text and image, the audio
projection and the last layer. They are 2 % of the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from torch.nn.functional import ScalingType

from talkingvideo_api.spec import Quantization
from talkingvideo_worker.engines.infinitetalk.memory.oom import is_gpu_oom

FORMATS: Mapping[Quantization, torch.dtype] = {
    Quantization.FP8: torch.float8_e4m3fn,
    Quantization.INT8: torch.int8,
}

FP8_CAPABILITY = (8, 9)
"""Compute capability from which GPUs multiply 8-bit floats (Ada; Hopper is 9.0)."""

SMALLEST = 1e-12
"""Scale of a row of zeros."""

MULTIPLE = 16
"""cuBLAS's kernels for 8-bit floats take sizes that are multiples of this."""


class ScaledLinear(nn.Module):
    """A linear layer that stores its weights in 8 bits and computes in the format of its inputs.

    Args:
        inputs: Channels.
        outputs: Channels.
        dtype: ``float8_e4m3fn`` or ``int8``.
        bias: Keeps its format.
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
    """A linear layer that also multiplies in 8 bits, with a scale for each row of its inputs."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs), in bfloat16."""
        codes, scale = quantize(x.flatten(0, -2), self.weight.dtype)
        bias = None if self.bias is None else self.bias.to(torch.bfloat16)
        unfolded: Tensor = fp8_matmul(codes, scale, self.weight, self.scale, bias).unflatten(0, x.shape[:-1])
        return unfolded


@dataclass(frozen=True)
class Quantizer:
    """Quantises the linear layers of a transformer's blocks.

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

    def quantize(self, name: str, weight: Tensor, model: nn.Module) -> dict[str, Tensor]:
        """The tensors that replace a weight, by name: codes and scale, or the weight itself where it is not quantised."""
        owner, _, leaf = name.rpartition(".")
        if leaf != "weight" or not isinstance(model.get_submodule(owner), ScaledLinear):
            return {name: weight}
        codes, scale = quantize(weight.float(), self.dtype)
        return {name: codes, f"{owner}.scale": scale}

    def _fits(self, layer: nn.Linear) -> bool:
        return layer.in_features % MULTIPLE == 0 and layer.out_features % MULTIPLE == 0


def quantizer_for(quantization: Quantization, device: torch.device) -> Quantizer | None:
    """The quantiser for a number format on a device; None when nothing is quantised."""
    if quantization is Quantization.NONE:
        return None
    multiplies = quantization is Quantization.FP8 and supports_fp8_matmul(device)
    return Quantizer(FORMATS[quantization], Fp8MatmulLinear if multiplies else ScaledLinear)


def supports_fp8_matmul(device: torch.device) -> bool:
    """Whether a device multiplies 8-bit floats with a scale for each row.

    Determined by a product: torch does not have a kernel for every capable GPU; 2.10 has none for 12.0 (its issue 192707).
    """
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < FP8_CAPABILITY:
        return False
    rows = torch.ones(
        MULTIPLE + 1, MULTIPLE, dtype=torch.bfloat16, device=device
    )  # as the image's 257 tokens are no multiple
    codes, scale = quantize(rows, torch.float8_e4m3fn)
    try:
        fp8_matmul(codes, scale, codes[:MULTIPLE], scale[:MULTIPLE], rows[0])
    except (RuntimeError, ValueError) as error:
        if is_gpu_oom(error):
            raise
        return False
    return True


def fp8_matmul(codes: Tensor, scale: Tensor, weight: Tensor, weight_scale: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer with 8-bit inputs and weights.

    Sums have the precision of the tensor cores' fast accumulation (14 bits on Hopper), as is usual in inference:
    accumulating in float32 outside of them is slower.

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


def quantize(rows: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Quantise each row over its full range.

    Computed in the format of ``rows``, so that activations of 0.9 GB are not copied to float32; the scale is the inverse
    of the rounded factor.

    Args:
        rows: (n, channels).
        dtype: ``float8_e4m3fn`` or ``int8``.

    Returns:
        Codes (n, channels), and float32 scales (n, 1) by which they are multiplied.
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
