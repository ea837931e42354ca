"""FLOPs by formula are those that torch counts."""

from __future__ import annotations

import pytest
import torch
from accelerate import init_empty_weights
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from infinitetalk.devices import PEAKS, Peak, floor_seconds, peak_of
from infinitetalk.work import ENCODE_MOTION, ModelSizes, WindowSize, call_work
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, predict_velocity
from talkingvideo_worker.engines.infinitetalk.weights.transformer import empty_transformer

NARROW = ModelSizes(dim=256, ffn=512, heads=2, layers=3)
H200 = Peak(989e12, 1979e12)


def on_meta(*size: int) -> Tensor:
    return torch.empty(size, device="meta")


def counted_flops(model: ModelSizes, window: WindowSize) -> int:
    """What torch counts in one call, on the meta device: nothing is calculated."""
    transformer = empty_transformer(model.config).to("meta")
    latents = window.latent_frames, window.height // 8, window.width // 8
    regions = on_meta(3, *latents[1:]) if window.speakers == 2 else None
    audio = transformer.encode_audio(on_meta(window.speakers, window.frames, 5, 12, 768), regions)
    condition = Condition(on_meta(20, *latents), on_meta(257, 1280), on_meta(9, 4096), audio)
    with FlopCounterMode(display=False) as counter:
        predict_velocity(transformer, on_meta(16, *latents), 500.0, condition)
    return int(counter.get_total_flops())


@pytest.mark.parametrize(
    "window", [WindowSize(64, 96, 17), WindowSize(128, 64, 81), WindowSize(64, 96, 17, speakers=2)], ids=repr
)
def test_a_calls_flops_are_those_that_torch_counts(window: WindowSize) -> None:
    assert call_work(NARROW, window).flops.total == pytest.approx(counted_flops(NARROW, window), rel=0.001)


def test_the_flops_of_the_full_size_are_counted_likewise() -> None:
    window = WindowSize(640, 640)
    assert call_work(ModelSizes(), window).flops.total == pytest.approx(counted_flops(ModelSizes(), window), rel=0.001)


def test_encoding_the_last_frames_takes_what_torch_counts() -> None:
    with init_empty_weights():
        codec = AutoencoderKLWan()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        codec.to("meta").encode(on_meta(1, 3, 9, 256, 256))
    assert counter.get_total_flops() == pytest.approx(ENCODE_MOTION * 256 * 256, rel=0.02)


@pytest.mark.parametrize(
    ("size", "calls", "in_bf16"),
    [((640, 640), 120, 230), ((640, 640), 4, 7.7), ((960, 960), 120, 832), ((960, 960), 16, 111)],
)
def test_floors_of_an_h200(size: tuple[int, int], calls: int, in_bf16: float) -> None:
    floor = floor_seconds(call_work(ModelSizes(), WindowSize(*size)).flops, H200, supports_fp8_matmul=False)
    assert floor is not None
    assert calls * floor == pytest.approx(in_bf16, rel=0.01)


def test_fp8_halves_the_layers_but_not_the_attention() -> None:
    flops = call_work(ModelSizes(), WindowSize(640, 640)).flops
    expected = flops.quantisable / 1979e12 + (flops.other + flops.attention) / 989e12
    assert floor_seconds(flops, H200, supports_fp8_matmul=True) == pytest.approx(expected)


def test_there_is_no_fp8_floor_where_there_are_no_units() -> None:
    flops = call_work(NARROW, WindowSize(64, 64)).flops
    assert floor_seconds(flops, peak_of("NVIDIA A100-SXM4-80GB"), supports_fp8_matmul=True) is None


@pytest.mark.parametrize(
    ("device", "bf16"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989.4e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L40", 181e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("NVIDIA GeForce RTX 4090 D", 147e12),
    ],
)
def test_peaks_are_known_by_name(device: str, bf16: float) -> None:
    peak = peak_of(device)
    assert peak is not None
    assert peak.bf16 == bf16


def test_an_unknown_device_has_no_peak() -> None:
    assert peak_of("NVIDIA H2000") is None
    assert floor_seconds(call_work(NARROW, WindowSize(64, 64)).flops, None, supports_fp8_matmul=False) is None


def test_no_name_hides_a_longer_one() -> None:
    assert all(peak_of(name) is peak for name, peak in PEAKS)
