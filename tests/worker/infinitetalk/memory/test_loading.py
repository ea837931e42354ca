"""A transformer in each memory mode: the same results, or as close as 8 bits allow."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.worker.infinitetalk.memory.conftest import LAYERS
from tests.worker.infinitetalk.whole_model import apply_loras
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

from talkingvideo_api.spec import Quantization
from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.memory import quantization
from talkingvideo_worker.engines.infinitetalk.memory.loading import LoraSet, load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode
from talkingvideo_worker.engines.infinitetalk.memory.offloading import OffloadedBlocks
from talkingvideo_worker.engines.infinitetalk.memory.quantization import Fp8MatmulLinear, ScaledLinear
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.transformer import StoredTransformer

CPU = torch.device("cpu")
RESIDENT = MemoryMode(resident=LAYERS, blocks=LAYERS)


def load(stored: StoredTransformer, mode: MemoryMode, dtype: torch.dtype = torch.float32) -> AudioWanTransformer3DModel:
    return load_transformer(stored, mode, dtype, CPU)[0]


def velocity(model: AudioWanTransformer3DModel, speakers: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    dtype = model.patch_embedding.weight.dtype

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    regions = torch.zeros(3, 8, 8)
    regions[0, :, :3], regions[1, :, 5:], regions[2, :, 3:5] = 1, 1, 1
    encoded_audio = model.encode_audio(noise(speakers, 9, 5, 12, 768), regions)
    images = noise(1, 257, 64)
    predicted: Tensor = model(
        noise(1, 36, 3, 8, 8), torch.tensor([700.0]), noise(1, 512, 16), images, return_dict=False, audio=encoded_audio
    )[0]
    return predicted.float()


def off(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("resident", range(LAYERS))
@pytest.mark.parametrize("speakers", [1, 2])
def test_offloaded_blocks_change_no_result(stored: StoredTransformer, resident: int, speakers: int) -> None:
    whole, streamed = load(stored, RESIDENT), load(stored, MemoryMode(resident=resident, blocks=LAYERS))
    assert isinstance(streamed.blocks, OffloadedBlocks)
    for _ in range(2):
        assert torch.equal(velocity(streamed, speakers), velocity(whole, speakers))


def test_an_interrupted_call_leaves_the_blocks_valid(stored: StoredTransformer) -> None:
    streamed = load(stored, MemoryMode(resident=1, blocks=LAYERS))
    for stop in range(LAYERS):
        for number, _block in enumerate(streamed.blocks):
            if number == stop:
                break
        assert torch.equal(velocity(streamed), velocity(load(stored, RESIDENT)))


def test_offloaded_blocks_take_two_slots_on_the_device(stored: StoredTransformer) -> None:
    streamed = load(stored, MemoryMode(resident=0, blocks=LAYERS))
    held = {weight.untyped_storage().data_ptr() for block in streamed.blocks for weight in block.parameters()}
    assert len(held) == 2


def test_offloaded_blocks_share_their_compiled_code(stored: StoredTransformer) -> None:
    torch.compiler.reset()
    whole, streamed = load(stored, RESIDENT), load(stored, MemoryMode(resident=1, blocks=LAYERS))
    counter = CompileCounterWithBackend("aot_eager")
    streamed.compile_repeated_blocks(fullgraph=True, dynamic=False, backend=counter)
    for _ in range(2):
        assert torch.allclose(velocity(streamed), velocity(whole), atol=1e-5)
    assert counter.frame_count == 1


@pytest.mark.parametrize(
    ("quantization", "allowed"), [(Quantization.FP8, 0.04), (Quantization.INT8, 0.012), (Quantization.NONE, 0)]
)
@pytest.mark.parametrize("resident", [LAYERS, 1])
def test_quantised_weights_stay_close(
    stored: StoredTransformer, quantization: Quantization, allowed: float, resident: int
) -> None:
    found = velocity(load(stored, MemoryMode(quantization, resident, LAYERS)))
    assert off(found, velocity(load(stored, RESIDENT))) <= allowed


def test_8_bit_products_stay_close(stored: StoredTransformer, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = velocity(load(stored, RESIDENT))
    plain = velocity(load(stored, RESIDENT, torch.bfloat16))
    monkeypatch.setattr(quantization, "supports_fp8_matmul", lambda _device: True)
    model = load(stored, MemoryMode(Quantization.FP8, LAYERS, LAYERS), torch.bfloat16)
    assert isinstance(model.get_submodule("blocks.0.ffn.net.2"), Fp8MatmulLinear)
    assert off(plain, exact) < 0.02
    assert 0.001 < off(velocity(model), exact) < 0.06


REFUSALS = (
    RuntimeError("Rowwise scaling is not currently supported on your device"),
    ValueError("Only bf16, fp16, and fp32 high precision output types are supported for row-wise scaling."),
)
"""As torch says it, though the GPU's compute capability would do."""


@pytest.fixture
def ada(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A GPU with units for 8-bit floats, as far as one can know without a product."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (8, 9))
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *size, **how: ones(*size, **how | {"device": "cpu"}))
    return torch.device("cuda")


def test_a_gpu_that_multiplies_8_bits_is_recognised_by_a_product(ada: torch.device) -> None:
    assert quantization.supports_fp8_matmul(ada)
    assert not quantization.supports_fp8_matmul(CPU)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_gpu_without_a_kernel_only_stores_8_bits(
    ada: torch.device, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    def refuse(*_given: object) -> Tensor:
        raise refusal

    monkeypatch.setattr(quantization, "fp8_matmul", refuse)
    chosen = quantization.quantizer_for(Quantization.FP8, ada)
    assert chosen is not None
    assert chosen.layer is ScaledLinear


def test_exhausted_gpu_memory_is_not_taken_for_a_missing_kernel(
    ada: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_given: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(quantization, "fp8_matmul", fill)
    with pytest.raises(torch.OutOfMemoryError):
        quantization.supports_fp8_matmul(ada)


def test_only_linear_layers_of_blocks_are_quantised(stored: StoredTransformer) -> None:
    model = load(stored, MemoryMode(Quantization.FP8, LAYERS, LAYERS), torch.bfloat16)
    kept = {name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    assert kept
    assert not any(name.startswith("blocks.") for name in kept)
    quantised_layers = [name for name, layer in model.named_modules() if isinstance(layer, ScaledLinear)]
    assert len(quantised_layers) == LAYERS * 15
    assert model.get_parameter("blocks.0.norm2.weight").dtype is torch.float32
    assert model.audio_proj.proj3.weight.dtype is torch.bfloat16


def test_scales_keep_small_weights_apart() -> None:
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(1)) * 0.002
    codes, scale = quantization.quantize(weight, torch.float8_e4m3fn)
    plain = weight.to(torch.float8_e4m3fn).float()
    assert off(codes.float() * scale, weight) < 0.03
    assert off(plain, weight) > 0.2


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_rows_of_zeros_stay_zeros(dtype: torch.dtype) -> None:
    codes, scale = quantization.quantize(torch.zeros(2, 16), dtype)
    assert torch.equal(codes.float() * scale, torch.zeros(2, 16))


@pytest.mark.parametrize("resident", [LAYERS, 0])
@pytest.mark.parametrize("quantization", [Quantization.NONE, Quantization.INT8])
def test_loras_are_merged_before_weights_are_quantised(
    stored: StoredTransformer, lora: Path, quantization: Quantization, resident: int
) -> None:
    loras = [LoraFile("mine", 1.0, lora)]
    expected = load(stored, RESIDENT)
    plain = velocity(expected)
    apply_loras(expected, loras, Path())
    mode = MemoryMode(quantization, resident, LAYERS)
    model, _ = load_transformer(stored, mode, torch.float32, CPU, LoraSet(loras))
    assert off(plain, velocity(expected)) > 0.02
    assert off(velocity(model), velocity(expected)) < 0.012


def test_progress_is_reported_and_loading_measured(stored: StoredTransformer) -> None:
    fractions: list[float] = []
    _, reading = load_transformer(
        stored, RESIDENT, torch.float32, CPU, progress=lambda fraction, _message: fractions.append(fraction)
    )
    assert fractions == sorted(fractions)
    assert len(fractions) == 20
    assert fractions[-1] == 1
    assert reading.bytes == stored.bytes
    assert "GB/s" in str(reading)
