"""The machine: what it is, and the dense peak of the GPU by its name."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from infinitetalk.work import Flops

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "triton")


@dataclass(frozen=True)
class Peak:
    """Dense FLOP/s of the matrix units with sums in float32, as the maker states them; None where it has none.

    Attributes:
        bf16: In bfloat16.
        fp8: In 8-bit floats.
    """

    bf16: float
    fp8: float | None = None


PEAKS: tuple[tuple[str, Peak], ...] = (
    ("GH200", Peak(989.4e12, 1978.9e12)),
    ("H100 PCIe", Peak(756e12, 1513e12)),
    ("H100 NVL", Peak(835e12, 1671e12)),
    ("H100", Peak(989.4e12, 1978.9e12)),
    ("H200", Peak(989.4e12, 1978.9e12)),
    ("H800", Peak(989.4e12, 1978.9e12)),
    ("H20", Peak(148e12, 296e12)),
    ("B200", Peak(2250e12, 4500e12)),
    ("A100", Peak(312e12)),
    ("A800", Peak(312e12)),
    ("A10G", Peak(70e12)),
    ("A10", Peak(125e12)),
    ("A40", Peak(149.7e12)),
    ("A6000", Peak(154.8e12)),
    ("L40S", Peak(362e12, 733e12)),
    ("L40", Peak(181e12, 362e12)),
    ("L4", Peak(121e12, 242e12)),
    ("RTX 6000 Ada", Peak(364.2e12, 728.5e12)),
    ("RTX 3090", Peak(71e12)),
    ("RTX 4090 D", Peak(147e12, 294e12)),
    ("RTX 4090", Peak(165.2e12, 330.3e12)),
    ("RTX 5090", Peak(209.5e12, 419e12)),
)
"""The first whose name is in the device's counts. GeForce cards multiply at half the rate with sums in float32."""


def peak_of(device_name: str) -> Peak | None:
    """Dense peak by a device's name; None for one that is not known."""
    words = device_name.lower()
    return next((peak for name, peak in PEAKS if _has(words, name.lower())), None)


def floor_seconds(flops: Flops, peak: Peak | None, *, supports_fp8_matmul: bool) -> float | None:
    """Time at the dense peak; attention and what is never quantised are in bfloat16.

    Args:
        flops: What is calculated.
        peak: Of the device.
        supports_fp8_matmul: Whether quantised layers multiply in 8 bits.
    """
    if peak is None or (supports_fp8_matmul and peak.fp8 is None):
        return None
    layers = peak.fp8 if supports_fp8_matmul and peak.fp8 else peak.bf16
    return flops.quantisable / layers + (flops.other + flops.attention) / peak.bf16


@dataclass(frozen=True)
class MachineFacts:
    """What measures."""

    device: str
    peak: Peak | None
    memory_gb: float | None
    multiprocessors: int | None
    driver: str | None
    cuda: str | None
    python: str
    packages: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def machine_facts(device: torch.device) -> MachineFacts:
    """Look at the machine."""
    packages = {name: found for name in PACKAGES if (found := _version(name))}
    python, cuda = platform.python_version(), torch.version.cuda
    if device.type != "cuda":
        return MachineFacts("CPU", None, None, None, None, cuda, python, packages)
    properties = torch.cuda.get_device_properties(device)
    name, memory = properties.name, properties.total_memory / 1e9
    return MachineFacts(
        name, peak_of(name), memory, properties.multi_processor_count, _driver(), cuda, python, packages
    )


def _has(text: str, name: str) -> bool:
    """Whether a name is in a text as whole words, so that an L40S is no L40."""
    return f" {name} " in f" {text.replace('-', ' ')} "


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    return lines[0].strip() if lines else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
