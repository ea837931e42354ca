"""Attention back ends, and when blocks are compiled; each block is one graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._inductor import config

from talkingvideo_api.errors import StageError
from talkingvideo_worker.engines.infinitetalk import compiling
from talkingvideo_worker.engines.infinitetalk.attention import (
    ATTENTION_VARIABLE,
    InstalledKernels,
    choose_backend,
    select_attention_backend,
)
from talkingvideo_worker.engines.infinitetalk.compiling import (
    PlannedCalls,
    choose_preparation,
    compile_blocks,
    compile_obstacle,
    has_cache,
    is_worth_compiling,
    leave_uncompiled,
)
from talkingvideo_worker.engines.infinitetalk.memory.quantization import Fp8MatmulLinear, Quantizer
from talkingvideo_worker.engines.infinitetalk.transformer import (
    AudioContext,
    AudioWanTransformer3DModel,
    AudioWanTransformerBlock,
    attention_to_regions,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def headers(tmp_path: Path) -> Path:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "Python.h").touch()
    return tmp_path / "include"


@pytest.mark.parametrize(
    ("kernels", "expected"),
    [
        (InstalledKernels(None), "native"),
        (InstalledKernels((8, 6), flash_3=True), "native"),
        (InstalledKernels((9, 0), flash_3=True), "_flash_3"),
        (InstalledKernels((9, 0)), "native"),
        (InstalledKernels((10, 0), flash_3=True), "native"),
    ],
)
def test_the_fastest_exact_kernels_are_chosen(kernels: InstalledKernels, expected: str) -> None:
    assert choose_backend(kernels) == expected


@pytest.fixture
def block() -> AudioWanTransformerBlock:
    torch.manual_seed(0)
    made: AudioWanTransformerBlock = AudioWanTransformerBlock(
        audio_channels=16, dim=32, num_heads=2, eps=1e-6, ffn_dim=64, qk_norm="rms_norm_across_heads",
        cross_attn_norm=True, added_kv_proj_dim=32,
    )  # fmt: skip
    made.requires_grad_(False)
    made.eval()
    return made


@pytest.fixture
def model(tiny_transformer: AudioWanTransformer3DModel) -> AudioWanTransformer3DModel:
    tiny_transformer.reset_attention_backend()
    return tiny_transformer


def test_a_back_end_can_be_configured(model: AudioWanTransformer3DModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert select_attention_backend(model, CPU) == "native"
    monkeypatch.setenv(ATTENTION_VARIABLE, "_native_math")
    assert select_attention_backend(model, CPU) == "_native_math"
    backends = {processor._attention_backend.value for processor in model.attn_processors.values()}
    assert backends == {"_native_math"}
    model.reset_attention_backend()


@pytest.mark.parametrize("asked", ["flash", "fastest"])
def test_a_missing_back_end_is_refused(
    model: AudioWanTransformer3DModel, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv(ATTENTION_VARIABLE, asked)
    with pytest.raises(StageError, match=f"{ATTENTION_VARIABLE} is '{asked}'"):
        select_attention_backend(model, CPU)


def block_inputs(speakers: int) -> tuple[Any, ...]:
    tokens, channels = 3 * 16, 32
    audio = None
    if speakers:
        regions = None
        if speakers == 2:
            regions = torch.zeros(3, 16)
            regions[0, :6], regions[1, 10:], regions[2, 6:10] = 1, 1, 1
        audio = AudioContext(torch.randn(1, 3, 4 * speakers, 16), speakers, regions)
    rotary = (torch.randn(1, tokens, 1, 16), torch.randn(1, tokens, 1, 16))
    return (
        torch.randn(1, tokens, channels),
        torch.randn(1, 257 + 512, channels),
        torch.randn(1, 6, channels),
        rotary,
        audio,
    )


@pytest.mark.parametrize("speakers", [0, 1, 2])
def test_a_block_is_one_graph(block: AudioWanTransformerBlock, speakers: int) -> None:
    torch.compiler.reset()
    inputs = block_inputs(speakers)
    compiled = torch.compile(block, fullgraph=True, dynamic=False, backend="aot_eager")
    assert torch.allclose(compiled(*inputs), block(*inputs), atol=1e-5)


def test_a_quantised_block_is_one_graph(block: AudioWanTransformerBlock) -> None:
    torch.compiler.reset()
    holder = torch.nn.Module()
    holder.blocks = torch.nn.ModuleList([block.to(torch.bfloat16)])
    weights = dict(block.state_dict())
    quantizer = Quantizer(torch.float8_e4m3fn, Fp8MatmulLinear)
    quantizer.prepare(holder)
    for name, value in weights.items():
        for part, code in quantizer.quantize(f"blocks.0.{name}", value, holder).items():
            owner, _, leaf = part.rpartition(".")
            holder.get_submodule(owner)._parameters[leaf] = torch.nn.Parameter(code, requires_grad=False)
    inputs = [value.to(torch.bfloat16) if isinstance(value, Tensor) else value for value in block_inputs(0)]
    compiled = torch.compile(block, fullgraph=True, dynamic=False, backend="aot_eager")
    assert torch.allclose(compiled(*inputs).float(), block(*inputs).float(), atol=0.1)


def test_blocks_share_their_compiled_code(model: AudioWanTransformer3DModel, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: given.append((type(self), options)))
    compile_blocks(model)
    assert given == [(AudioWanTransformerBlock, {"fullgraph": True, "dynamic": False})] * len(model.blocks)


def test_short_work_is_not_compiled() -> None:
    turbo_window, quality_window = PlannedCalls(33_600, 4), PlannedCalls(33_600, 120)
    assert not is_worth_compiling(turbo_window, cached=False)
    assert not is_worth_compiling(turbo_window, cached=True)
    assert is_worth_compiling(quality_window, cached=True)
    assert is_worth_compiling(PlannedCalls(33_600, 480), cached=False)


def test_where_it_pays_blocks_are_compiled_or_a_warning_says_why_not(
    monkeypatch: pytest.MonkeyPatch, headers: Path
) -> None:
    long, short = PlannedCalls(33_600, 480), PlannedCalls(33_600, 4)
    monkeypatch.setattr(compiling, "python_headers", lambda: headers)
    monkeypatch.setenv("CC", "cc")
    assert choose_preparation(CUDA, long) == (compile_blocks, None)
    assert choose_preparation(CUDA, short) == (leave_uncompiled, None)
    assert choose_preparation(CPU, long) == (leave_uncompiled, None)
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    prepare, warning = choose_preparation(CUDA, long)
    assert prepare is leave_uncompiled
    assert "C compiler" in (warning or "")


def test_the_estimated_duration_is_that_of_the_published_model() -> None:
    petaflops = PlannedCalls(33_600, 1).seconds * 400e12 / 1e15
    assert petaflops == pytest.approx(1.90 + 2 * 33_600 * (18.9e9 - 14.05e9) / 1e15, rel=0.05)


def test_without_a_compiler_blocks_are_not_compiled(monkeypatch: pytest.MonkeyPatch, headers: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    assert "C compiler" in (compile_obstacle(CUDA, lambda _name: None, headers) or "")
    assert compile_obstacle(CUDA, lambda name: f"/usr/bin/{name}", headers) is None
    assert compile_obstacle(CPU) is not None
    monkeypatch.setenv("CC", "cc")
    assert compile_obstacle(CUDA, lambda _name: None, headers) is None


def test_without_pythons_headers_blocks_are_not_compiled(headers: Path) -> None:
    assert compile_obstacle(CUDA, lambda name: name, headers) is None
    assert "libpython3-dev" in (compile_obstacle(CUDA, lambda name: name, headers.parent) or "")


@pytest.mark.parametrize("variable", ["TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"])
def test_without_a_writable_cache_blocks_are_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: Path, variable: str
) -> None:
    """A claim that only root may write to, or a read-only root file system: torch would fail at the first call."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, str(tmp_path / "new" / "cache"))
    assert compile_obstacle(CUDA, lambda name: name, headers) is None
    monkeypatch.setenv(variable, str(tmp_path / "file" / "cache"))
    assert compile_obstacle(CUDA, lambda name: name, headers) == f"{tmp_path}/file/cache cannot be written"


def test_kernels_are_compiled_by_few_processes(
    model: AudioWanTransformer3DModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.Module, "compile", lambda _self, **_options: None)
    for cores, processes in ((32, 4), (2, 2)):
        monkeypatch.setattr(config, "compile_threads", cores)
        compile_blocks(model)
        assert config.compile_threads == processes


def test_compiled_code_of_earlier_processes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    assert not has_cache()
    (tmp_path / "fxgraph").mkdir()
    assert has_cache()


def test_regions_are_attended_to_by_the_kernels_of_self_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """FlashAttention takes values as wide as keys alone, and no kernel any whose last dimension has a stride.

    What none takes is calculated with all weights in memory: 17 GB at 640x640.
    """
    taken: list[tuple[Tensor, ...]] = []
    attend = torch.nn.functional.scaled_dot_product_attention

    def noting(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        taken.append((query, key, value))
        return attend(query, key, value)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", noting)
    query, key = torch.randn(1, 60, 4, 64, dtype=torch.bfloat16), torch.randn(1, 60, 4, 64, dtype=torch.bfloat16)
    attention_to_regions(query, key, torch.ones(3, 20))
    (operands,) = taken
    assert {operand.shape[-1] for operand in operands} == {64}
    assert all(operand.stride(-1) == 1 and 0 not in operand.stride() for operand in operands)
    assert {operand.dtype for operand in operands} == {torch.bfloat16}


def test_regions_padded_for_the_kernels_are_as_exact_as_before() -> None:
    torch.manual_seed(2)
    query, key = torch.randn(1, 900, 4, 64), torch.randn(1, 900, 4, 64)
    masks = torch.zeros(3, 300)
    masks[0, :77], masks[1, 77:199], masks[2, 199:] = 1, 1, 1
    exact = attention_to_regions(query.double(), key.double(), masks.double())
    found = attention_to_regions(query, key, masks)
    assert found.shape == (1, 3, 900)
    assert torch.allclose(found, exact.float(), atol=1e-7)
