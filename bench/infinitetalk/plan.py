"""What is measured: variants of the transformer, sizes and presets, in the order of what one wants to know first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from infinitetalk.work import Window

from talkingvideo_api.spec import Preset, Quantization
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode, Surroundings


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
class Layout:
    """What is built once: weights in a format, in a memory mode."""

    arithmetic: Arithmetic
    mode: MemoryMode

    def __str__(self) -> str:
        """For tables."""
        place = str(self.mode).partition(", ")[2]
        return f"{self.arithmetic}, {place}"


@dataclass(frozen=True)
class Variant:
    """A layout, and how its blocks run."""

    layout: Layout
    kernels: Kernels = Kernels.EAGER

    def __str__(self) -> str:
        """For tables."""
        return f"{self.layout}, {self.kernels}"


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        variants: Those of a layout behind each other.
        windows: Sizes.
        presets: Of the sampling.
    """

    variants: Sequence[Variant]
    windows: Sequence[Window]
    presets: Sequence[Preset]

    @property
    def by_layout(self) -> list[tuple[Layout, list[Variant]]]:
        """Variants of each layout, which is built once for them."""
        return [(layout, list(some)) for layout, some in groupby(self.variants, lambda variant: variant.layout)]


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
        Layout(Arithmetic.BF16, MemoryMode(resident=BLOCKS // 2)),
        Layout(Arithmetic.BF16, MemoryMode(resident=0)),
        Layout(Arithmetic.BF16, MemoryMode(resident=0, surroundings=Surroundings.FRUGAL)),
        Layout(Arithmetic.FP8_MATMULS, MemoryMode(Quantization.FP8, 0)),
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


LEANEST = Layout(Arithmetic.FP8_MATMULS, MemoryMode(Quantization.FP8, 0, surroundings=Surroundings.FRUGAL))
"""The last rung of the ladder of memory modes."""


def _resident(arithmetics: Sequence[Arithmetic]) -> list[Variant]:
    layouts = [Layout(arithmetic, MemoryMode(arithmetic.quantization)) for arithmetic in arithmetics]
    return [Variant(layout, kernels) for layout in layouts for kernels in Kernels]


def _named(variants: Sequence[Variant], only: str) -> list[Variant]:
    return [variant for variant in variants if only.lower() in str(variant).lower()]


def _windows(sizes: Sequence[tuple[int, int]]) -> list[Window]:
    return [Window(height, width) for height, width in sizes]
