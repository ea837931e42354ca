"""What a CPU computes and a GPU refuses or does only slowly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor
from torch._meta_registrations import _check_scaled_mm_sizes
from torch._subclasses.fake_tensor import FakeTensorMode

aten: Any = torch.ops.aten

ONE_FORMAT = (aten.native_layer_norm.default, aten.native_group_norm.default)
"""What CPUs calculate with values and weights in different formats."""

KERNELS = ("CUDA", "CompositeExplicitAutograd", "CompositeImplicitAutograd", "CompositeExplicitAutogradNonFunctional")

_attention = F.scaled_dot_product_attention


def refuse(
    function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], here: Sequence[Tensor], there: Sequence[Tensor]
) -> None:
    """Refuse an operation of the GPU.

    Args:
        function: The operation.
        args: Its arguments.
        kwargs: Those with names.
        here: Tensors of the host among them that would have to be on the GPU.
        there: Those on the GPU.

    Raises:
        RuntimeError: As CUDA says it.
    """
    if any(tensor.dim() for tensor in here):
        places = ", ".join(f"{tensor.device} {tuple(tensor.shape)}" for tensor in (*here, *there))
        raise RuntimeError(f"Expected all tensors to be on the same device: {function} of {places}")
    if function in ONE_FORMAT and len({tensor.dtype for tensor in there}) > 1:
        raise RuntimeError(f"CUDA has no {function} of {', '.join(str(tensor.dtype) for tensor in there)}")
    if kwargs.get("generator") is not None:
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    if function is aten._scaled_mm_v2.default:
        _refuse_product(*args, **kwargs)


def _refuse_product(
    one: Tensor, two: Tensor, scales: Any, _how: Any, _order: Any, others: Any, *rest: Any, **options: Any
) -> None:
    """8-bit products of shapes and layouts that cuBLAS does not take."""
    bias, out_dtype = rest[2], rest[3]
    with FakeTensorMode():
        biases = None if bias is None else _fake(bias)
        _check_scaled_mm_sizes(_fake(one), _fake(two), _fake(scales[0]), _fake(others[0]), biases, None, out_dtype)


def _fake(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)


def attention_without_a_matrix(query: Tensor, key: Tensor, value: Tensor, *others: Any, **options: Any) -> Tensor:
    """``scaled_dot_product_attention`` of what those kernels take that never write all weights down.

    Others go to one that does: 40 heads of 33,600 tokens by 1,600 are gigabytes.
    """
    for name, part in (("query", query), ("key", key), ("value", value)):
        if part.is_cuda and (part.stride(-1) != 1 or 0 in part.stride()):
            raise RuntimeError(f"{name} {tuple(part.shape)} has strides {part.stride()}: no fused kernel takes them")
    return _attention(query, key, value, *others, **options)


def without_kernel(operations: Iterable[Any]) -> list[str]:
    """Operations that CUDA does not have; nothing is known of them by a torch that is built without it."""
    if torch.version.cuda is None:
        return []
    names = [operation.name() for operation in operations]
    return [
        name for name in names if not any(torch._C._dispatch_has_kernel_for_dispatch_key(name, key) for key in KERNELS)
    ]
