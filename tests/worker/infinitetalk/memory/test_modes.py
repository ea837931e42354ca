"""Which memory mode is chosen on GPUs from 12 to 141 GB, and the next leaner one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from tests.worker.render_values import render_values, sampling_values

from talkingvideo_api.spec import Quantization
from talkingvideo_worker.engines.infinitetalk.memory.machine import free_host_bytes
from talkingvideo_worker.engines.infinitetalk.memory.modes import (
    BLOCK_PARAMETERS,
    GB,
    OTHER_PARAMETERS,
    USABLE_FRACTION,
    AuxiliaryNetworks,
    FreeMemory,
    MemoryMode,
    MemoryRequest,
    Workload,
    candidate_modes,
    choose_mode,
    gpu_bytes,
    host_bytes,
    leaner_mode,
    offloaded_numbers,
)
from talkingvideo_worker.engines.infinitetalk.settings import memory_request
from talkingvideo_worker.engines.infinitetalk.weights.transformer import empty_transformer

P480, P720 = Workload(448_000), Workload(921_600)
PLENTY = 256 * GB


def card(gigabytes: int, host: int = PLENTY) -> FreeMemory:
    return FreeMemory(int(gigabytes * 2**30 * 0.98), host)


@pytest.mark.parametrize(
    ("gigabytes", "workload", "expected"),
    [
        (12, P480, "BF16, 0 of 40 blocks resident, tiled"),
        (16, P480, "BF16, 4 of 40 blocks resident"),
        (24, P480, "BF16, 12 of 40 blocks resident"),
        (32, P480, "BF16, 20 of 40 blocks resident"),
        (48, P480, "BF16, resident"),
        (80, P480, "BF16, resident"),
        (141, P480, "BF16, resident"),
        (16, P720, "BF16, 0 of 40 blocks resident, tiled"),
        (24, P720, "BF16, 4 of 40 blocks resident"),
        (32, P720, "BF16, 12 of 40 blocks resident"),
        (48, P720, "BF16, 28 of 40 blocks resident"),
        (80, P720, "BF16, resident"),
        (141, P720, "BF16, resident"),
    ],
)
def test_the_fastest_mode_that_fits_is_chosen(gigabytes: int, workload: Workload, expected: str) -> None:
    mode = choose_mode(card(gigabytes), workload)
    assert str(mode) == expected
    assert gpu_bytes(mode, workload) <= USABLE_FRACTION * (card(gigabytes).gpu_bytes or 0)


def test_when_nothing_fits_the_leanest_mode_is_tried() -> None:
    assert str(choose_mode(card(12), P720)) == "FP8, 0 of 40 blocks resident, tiled"


def test_blocks_that_the_host_cannot_hold_are_quantised() -> None:
    mode = choose_mode(card(24, 16 * GB), P480)
    assert mode.quantization is Quantization.FP8
    assert host_bytes(mode) <= 16 * GB


def test_a_host_with_little_memory_gets_the_mode_that_takes_least_of_it() -> None:
    assert host_bytes(choose_mode(card(12, 2 * GB), P480)) == min(
        host_bytes(mode) for mode in candidate_modes(MemoryRequest())
    )


def test_the_leanest_mode_takes_at_most_16_gb_at_480p() -> None:
    assert gpu_bytes(candidate_modes(MemoryRequest())[-1], P480) < 16 * GB


def test_requests_are_honoured() -> None:
    for quantization in Quantization:
        asked = memory_request(render_values(sampling=sampling_values(quantization=quantization)))
        assert {mode.quantization for mode in candidate_modes(asked)} == {quantization}
    some = memory_request(
        render_values(sampling=sampling_values(resident_parameters=OTHER_PARAMETERS + 7 * BLOCK_PARAMETERS + 5))
    )
    assert choose_mode(card(141), P480, some).resident == 7
    assert max(mode.resident for mode in candidate_modes(some)) == 7
    assert (
        choose_mode(
            card(141), P480, memory_request(render_values(sampling=sampling_values(resident_parameters=0)))
        ).resident
        == 0
    )
    assert (
        choose_mode(
            card(141), P480, memory_request(render_values(sampling=sampling_values(resident_parameters=10**11)))
        ).resident
        == 40
    )


def test_without_a_gpu_no_block_is_offloaded() -> None:
    assert choose_mode(FreeMemory(None, 1), P720, blocks=2) == MemoryMode(resident=2, blocks=2)


def test_each_leaner_mode_takes_at_least_a_tenth_less() -> None:
    mode: MemoryMode | None = candidate_modes(MemoryRequest())[0]
    steps = []
    while mode is not None:
        steps.append(gpu_bytes(mode, P480))
        mode = leaner_mode(mode, card(24), P480)
    assert len(steps) > 4
    assert all(after <= 0.9 * before for before, after in pairwise(steps))


def test_a_leaner_mode_fits_the_host() -> None:
    below = leaner_mode(MemoryMode(), card(48, 20 * GB), P480)
    assert below is not None
    assert host_bytes(below) <= 20 * GB


def test_a_leaner_mode_honours_the_request() -> None:
    asked = MemoryRequest(Quantization.NONE)
    leanest = candidate_modes(asked)[-1]
    assert leanest == MemoryMode(resident=0, auxiliary=AuxiliaryNetworks.OFFLOADED)
    assert leaner_mode(leanest, card(12), P480, asked) is None


def test_gpus_that_divide_the_tokens_need_less() -> None:
    tiled = MemoryMode(auxiliary=AuxiliaryNetworks.OFFLOADED)
    assert gpu_bytes(tiled, Workload(921_600, token_ranks=4)) < gpu_bytes(tiled, P720)


@pytest.mark.parametrize(("blocks", "resident"), [(40, 39), (40, 12), (40, 0), (2, 1), (3, 3), (7, 2)])
def test_offloaded_blocks_are_spread_evenly(blocks: int, resident: int) -> None:
    offloaded = offloaded_numbers(blocks, resident)
    assert len(set(offloaded)) == blocks - resident
    assert all(0 <= number < blocks for number in offloaded)
    gaps = [after - before for before, after in pairwise(offloaded)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_the_estimates_are_of_the_published_model() -> None:
    published = {"text_dim": 4096, "in_dim": 36, "dim": 5120, "ffn_dim": 13824, "freq_dim": 256, "out_dim": 16}
    model = empty_transformer(published | {"num_heads": 40, "num_layers": 2, "eps": 1e-6})
    block = sum(value.numel() for value in model.blocks[0].parameters())
    assert block == BLOCK_PARAMETERS
    assert sum(value.numel() for value in model.parameters()) - 2 * block == OTHER_PARAMETERS


def test_the_containers_limit_counts_and_file_caches_are_free(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 100 kB\nMemAvailable: 64 kB\n")
    assert free_host_bytes(tmp_path, meminfo) == 64 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    assert free_host_bytes(tmp_path, meminfo) == 64 * 1024
    (tmp_path / "memory.max").write_text("40000\n")
    (tmp_path / "memory.current").write_text("30000\n")
    (tmp_path / "memory.stat").write_text("anon 10000\nfile_mapped 5\nfile 20000\n")
    assert free_host_bytes(tmp_path, meminfo) == 30_000
