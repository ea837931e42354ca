"""The simulated GPU refuses and records what a real one would."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from tests.worker.infinitetalk.devices.refusals import without_kernel
from tests.worker.infinitetalk.devices.simulated import GPU, SimulatedGpu
from torch import Tensor
from torch.nn.functional import ScalingType


def test_it_calculates_and_gives_back(gpu: SimulatedGpu) -> None:
    there = torch.arange(6, device=GPU).float().reshape(2, 3)
    there[0] += 1
    assert there.device == GPU
    assert there.is_cuda
    assert there.t().cpu().tolist() == [[1, 3], [2, 4], [3, 5]]


@pytest.mark.parametrize(
    "mixed",
    [
        lambda here, there: here + there,
        lambda here, there: torch.cat([here, there]),
        lambda here, there: F.linear(there, here),
        lambda here, there: there.add_(here),
    ],
)  # fmt: skip
def test_tensors_of_two_places_are_refused(gpu: SimulatedGpu, mixed: Callable[[Tensor, Tensor], Tensor]) -> None:
    with pytest.raises(RuntimeError, match="same device"):
        mixed(torch.ones(2, 2), torch.ones(2, 2, device=GPU))
    assert (torch.ones(2, device=GPU) * torch.tensor(2.0)).cpu().tolist() == [2, 2], "one number may come from anywhere"


def test_a_norm_of_two_formats_is_refused(gpu: SimulatedGpu) -> None:
    values, weight = torch.ones(2, 8, device=GPU, dtype=torch.bfloat16), torch.ones(8, device=GPU)
    with pytest.raises(RuntimeError, match="CUDA has no"):
        F.layer_norm(values, (8,), weight, weight)


def test_random_numbers_by_a_generator_of_the_cpu_are_refused(gpu: SimulatedGpu) -> None:
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(3, generator=torch.Generator(), device=GPU)
    torch.randn(3, device=GPU)


def test_attention_that_would_write_a_matrix_is_refused(gpu: SimulatedGpu) -> None:
    values = torch.ones(1, 2, 16, 8, device=GPU)
    F.scaled_dot_product_attention(values, values, values)
    for unfit in (values.mT.contiguous().mT, values[:, :1].expand(1, 2, 16, 8)):
        with pytest.raises(RuntimeError, match="no fused kernel"):
            F.scaled_dot_product_attention(values, values, unfit)


@pytest.mark.parametrize("rows_first", [True, False])
def test_8_bit_products_are_of_a_row_by_a_row(gpu: SimulatedGpu, rows_first: bool) -> None:
    one = torch.ones(4, 32, device=GPU).to(torch.float8_e4m3fn)
    two = torch.ones(16, 32, device=GPU).to(torch.float8_e4m3fn).t()
    other = two if rows_first else two.contiguous()
    scales = torch.ones(4, 1, device=GPU), torch.ones(1, 16, device=GPU)

    def product() -> Tensor:
        rows = ScalingType.RowWise
        return F.scaled_mm(one, other, scales[0], rows, scales[1], rows, output_dtype=torch.bfloat16)

    if rows_first:
        assert product().cpu().unique().tolist() == [32]
    else:
        with pytest.raises(RuntimeError, match="col_major"):
            product()


@pytest.mark.parametrize(
    "waiting",
    [
        lambda there: there.sum().item(),
        lambda there: bool(there[0] > 0),
        lambda there: there.cpu(),
        lambda there: there.nonzero(),
        lambda there: there[there > 0],
        lambda there: there.copy_(torch.ones(3)),
        lambda _there: torch.tensor([1.0, 2.0], device=GPU),
    ],
)
def test_waits_are_recorded(gpu: SimulatedGpu, waiting: Callable[[Tensor], object]) -> None:
    there = torch.ones(3, device=GPU)
    assert gpu.waits == []
    waiting(there)
    assert len(gpu.waits) == 1


def test_a_concurrent_copy_happens_as_late_as_possible(gpu: SimulatedGpu) -> None:
    target, source = torch.zeros(3, device=GPU), torch.ones(3, pin_memory=True)
    stream, event = torch.cuda.Stream(), torch.cuda.Event()
    with torch.cuda.stream(stream):
        target.copy_(source, non_blocking=True)
        event.record(stream)
    assert not gpu.waits
    assert (target + 0).cpu().tolist() == [0, 0, 0]
    torch.cuda.current_stream().wait_event(event)
    assert target.cpu().tolist() == [1, 1, 1]


def test_an_operation_that_only_cpus_have_is_found(gpu: SimulatedGpu) -> None:
    if torch.version.cuda is None:
        pytest.skip("this torch knows no operations of CUDA")
    aten = torch.ops.aten
    only = aten._scaled_dot_product_flash_attention_for_cpu.default
    assert without_kernel({aten.add.Tensor, aten.view.default, only}) == [only.name()]
