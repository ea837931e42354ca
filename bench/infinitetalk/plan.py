"""What is measured: variants of the transformer, sizes and presets, the most important ones first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from infinitetalk.work import WindowSize

from talkingvideo_api.spec import Preset, Quantization
from talkingvideo_worker.engines.infinitetalk.memory.modes import AuxiliaryNetworks, MemoryMode


class Arithmetic(StrEnum):
    """How the linear layers of the blocks keep their weights and multiply."""

    BF16 = "bf16"
    FP8_MATMULS = "FP8 matmuls"
    FP8_STORAGE = "FP8 storage"
    INT8_STORAGE = "Int8 storage"

    @property
    def quantization(self) -> Quantization:
        """As a resource names it."""
        return {
            Arithmetic.BF16: Quantization.NONE,
            Arithmetic.FP8_MATMULS: Quantization.FP8,
            Arithmetic.FP8_STORAGE: Quantization.FP8,
            Arithmetic.INT8_STORAGE: Quantization.INT8,
        }[self]


class Kernels(StrEnum):
    """How the blocks run."""

    EAGER = "eager"
    COMPILED = "compiled"


@dataclass(frozen=True)
class ModelSetup:
    """A model that is built once: weights in a format, in a memory mode."""

    arithmetic: Arithmetic
    mode: MemoryMode

    def __str__(self) -> str:
        """For tables."""
        place = str(self.mode).partition(", ")[2]
        return f"{self.arithmetic}, {place}"


@dataclass(frozen=True)
class Variant:
    """A model, and how its blocks run."""

    setup: ModelSetup
    kernels: Kernels = Kernels.EAGER

    def __str__(self) -> str:
        """For tables."""
        return f"{self.setup}, {self.kernels}"


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        variants: Grouped by setup.
        windows: Sizes.
        presets: Of the sampling.
    """

    variants: Sequence[Variant]
    windows: Sequence[WindowSize]
    presets: Sequence[Preset]

    @property
    def by_setup(self) -> list[tuple[ModelSetup, list[Variant]]]:
        """The variants of each setup, which is built once for them."""
        return [(setup, list(some)) for setup, some in groupby(self.variants, lambda variant: variant.setup)]


PRESETS = (Preset.TURBO, Preset.FAST, Preset.QUALITY)

SIZES = ((640, 640), (960, 960), (448, 896), (832, 448), (704, 1280))
QUICK_SIZES = SIZES[:1]
"""With a second size the leanest mode would come after ten minutes of an H100 [estimate]."""

BLOCKS = 40


def full_plan(only: str = "", sizes: Sequence[tuple[int, int]] = SIZES) -> Plan:
    """Everything.

    Args:
        only: What a variant's name must have in it.
        sizes: Height and width.
    """
    streamed = [
        ModelSetup(Arithmetic.BF16, MemoryMode(resident=BLOCKS // 2)),
        ModelSetup(Arithmetic.BF16, MemoryMode(resident=0)),
        ModelSetup(Arithmetic.BF16, MemoryMode(resident=0, auxiliary=AuxiliaryNetworks.OFFLOADED)),
        ModelSetup(Arithmetic.FP8_MATMULS, MemoryMode(Quantization.FP8, 0)),
        LEANEST,
    ]
    variants = [*_resident(tuple(Arithmetic)), *map(Variant, streamed)]
    return Plan(_named(variants, only), _windows(sizes), PRESETS)


def quick_plan(only: str = "", sizes: Sequence[tuple[int, int]] = QUICK_SIZES) -> Plan:
    """The figures that goals are set for: bf16 and FP8 matmuls, and the leanest mode.

    Args:
        only: What a variant's name must have in it.
        sizes: Height and width.
    """
    variants = [*_resident((Arithmetic.BF16, Arithmetic.FP8_MATMULS)), Variant(LEANEST)]
    return Plan(_named(variants, only), _windows(sizes), PRESETS)


LEANEST = ModelSetup(Arithmetic.FP8_MATMULS, MemoryMode(Quantization.FP8, 0, auxiliary=AuxiliaryNetworks.OFFLOADED))
"""The leanest memory mode."""


def _resident(arithmetics: Sequence[Arithmetic]) -> list[Variant]:
    setups = [ModelSetup(arithmetic, MemoryMode(arithmetic.quantization)) for arithmetic in arithmetics]
    return [Variant(setup, kernels) for setup in setups for kernels in Kernels]


def _named(variants: Sequence[Variant], only: str) -> list[Variant]:
    return [variant for variant in variants if only.lower() in str(variant).lower()]


def _windows(sizes: Sequence[tuple[int, int]]) -> list[WindowSize]:
    return [WindowSize(height, width) for height, width in sizes]
