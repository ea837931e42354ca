"""Memory modes: from everything on the GPU to as little as possible. Decisions only, no torch.

Modes are tried in the order of what they cost. Offloading blocks to pinned host memory costs host memory and PCIe traffic
only: one block computes for longer than the next takes to be copied (at 640x640 47 TFLOP, 80 ms on an H100 at
600 TFLOP/s; 0.93 GB at 20 GB/s take 46 ms). So it comes before FP8, which costs precision, and before decoding in tiles,
which costs seams. All bytes are decimal.

The text encoder (umT5-XXL, 5.68 B parameters, 11.4 GB in bfloat16) is in no sum: prompts are the same for all windows, so
it is freed after they are encoded, before the transformer is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from talkingvideo_api.spec import Quantization

GB = 10**9

BLOCKS = 40
BLOCK_PARAMETERS = 464_162_304
"""Of a block with its audio attention: 8 d^2 (self- and cross-attention), 2 d^2 (the picture's keys and values),
2 d 13824 (feed-forward), 2 d^2 + 2 d 768 (audio attention), with d = 5120, and biases and norms."""

OTHER_PARAMETERS = 315_554_624
"""Of the transformer outside its blocks."""

BYTES_PER_WEIGHT = {Quantization.NONE: 2, Quantization.FP8: 1, Quantization.INT8: 1}

IMAGE_ENCODER_BYTES = int(1.27 * GB)
"""CLIP's ViT-H tower, 632 M parameters in bfloat16."""

VAE_BYTES = int(0.4 * GB)
"""The VAE's 127 M parameters: encoder in float32, decoder in bfloat16."""

BLOCK_SLOTS = 2
"""Buffers on the GPU for offloaded blocks: one computes while the next is copied."""

BYTES_PER_TOKEN = {Quantization.NONE: 137_000, Quantization.FP8: 143_000, Quantization.INT8: 137_000}
"""Largest sum of the tensors that exist at once in a call of the transformer in bfloat16, uncompiled, per token, for two
speakers (8,000 less for one), counted with the full-size model on the meta device. Layers that multiply in 8 bits also
hold the codes of their inputs."""

RESIDUAL_BYTES_PER_TOKEN = 10_240
"""What the step cache keeps for a branch, in bfloat16."""

VAE_BYTES_PER_PIXEL = 10_700 + 3 * 972
"""Decoding 81 frames in bfloat16: 10,630 (counted likewise), and three copies of the video in float32 for the colours.
Encoding 81 frames in float32 takes 15,100, without such copies."""

ENCODING_BYTES_PER_PIXEL = 15_100

TILED_BYTES_PER_PIXEL = 4_610 + 3 * 972
"""The same in tiles of 256: 2,370 in bfloat16, 4,610 in float32."""

ACTIVATION_MARGIN = 1.10
"""Factor for activations: the allocator's fragmentation and the workspaces of kernels [estimate]."""

WORKSPACE_BYTES = int(0.8 * GB)
"""cuBLAS, cuDNN and loaded kernels [estimate]."""

USABLE_FRACTION = 0.96
"""Fraction of the GPU's reported free memory that is used."""

PINNING = 1.16
"""PyTorch's allocator of pinned memory rounds up to powers of two: 928 MB take 1,074 MB, 465 MB take 537 MB."""

PROCESS_BYTES = 4 * GB
"""Python, torch, CUDA's own host memory and the frames on their way to the encoder [estimate]."""


class AuxiliaryNetworks(StrEnum):
    """How the networks around the transformer are kept."""

    ON_GPU = "OnGpu"
    """The image encoder stays on the GPU, and the VAE decodes whole pictures."""
    OFFLOADED = "Offloaded"
    """The image encoder is in host memory between uses, and the VAE decodes in tiles."""


@dataclass(frozen=True)
class MemoryMode:
    """Which weights are on the GPU, and in which number format.

    Attributes:
        quantization: Of the linear layers of the blocks.
        resident: Number of blocks that stay on the GPU; the others are offloaded to host memory.
        blocks: Number of the transformer's blocks.
        auxiliary: How the networks around the transformer are kept.
    """

    quantization: Quantization = Quantization.NONE
    resident: int = BLOCKS
    blocks: int = BLOCKS
    auxiliary: AuxiliaryNetworks = AuxiliaryNetworks.ON_GPU

    @property
    def offloaded(self) -> int:
        """Number of blocks that are offloaded to host memory."""
        return self.blocks - self.resident

    def __str__(self) -> str:
        """For people, such as ``BF16, 12 of 40 blocks resident``."""
        number_format = "BF16" if self.quantization is Quantization.NONE else str(self.quantization).upper()
        place = "resident" if not self.offloaded else f"{self.resident} of {self.blocks} blocks resident"
        return f"{number_format}, {place}" + (", tiled" if self.auxiliary is AuxiliaryNetworks.OFFLOADED else "")


@dataclass(frozen=True)
class Workload:
    """The sizes of a render that determine its memory.

    Attributes:
        pixels: Of a frame.
        frames: Of a window.
        token_ranks: Number of GPUs that divide the tokens of a call among them.
        cached_branches: Number of guidance's branches for which one GPU caches the blocks' residual to skip steps.
    """

    pixels: int
    frames: int = 81
    token_ranks: int = 1
    cached_branches: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of a call of the transformer on one GPU: 4 frames of 16 x 16 pixels are one."""
        return (1 + (self.frames - 1) // 4) * self.pixels // 256 // self.token_ranks


@dataclass(frozen=True)
class FreeMemory:
    """Free memory of a GPU and its host.

    Attributes:
        gpu_bytes: Of the GPU; None without one, where offloading gains nothing.
        host_bytes: Of the host, within the container's limit.
    """

    gpu_bytes: int | None
    host_bytes: int


@dataclass(frozen=True)
class MemoryRequest:
    """What a user demands of the memory mode; None leaves it open.

    Attributes:
        quantization: Number format of the blocks' weights.
        resident_parameters: Parameters of the transformer that stay on the GPU.
    """

    quantization: Quantization | None = None
    resident_parameters: int | None = None


ANY_MODE = MemoryRequest()
"""Demands nothing."""


def gpu_bytes(mode: MemoryMode, workload: Workload) -> int:
    """Peak of one GPU: the weights, and the larger one of a call of the transformer and of the VAE's work."""
    slots = min(BLOCK_SLOTS, mode.offloaded)
    weights = 2 * OTHER_PARAMETERS + (mode.resident + slots) * block_bytes(mode)
    whole = max(VAE_BYTES_PER_PIXEL, ENCODING_BYTES_PER_PIXEL)
    auxiliary, per_pixel = {
        AuxiliaryNetworks.ON_GPU: (IMAGE_ENCODER_BYTES + VAE_BYTES, whole),
        AuxiliaryNetworks.OFFLOADED: (VAE_BYTES, TILED_BYTES_PER_PIXEL),
    }[mode.auxiliary]
    codec = per_pixel * workload.pixels * workload.frames / 81
    return int(weights + auxiliary + WORKSPACE_BYTES + ACTIVATION_MARGIN * max(call_bytes(mode, workload), codec))


def call_bytes(mode: MemoryMode, workload: Workload) -> int:
    """Peak of a call without weights. The residual of the branch that is computed is freed before its blocks run."""
    cached = RESIDUAL_BYTES_PER_TOKEN * max(0, workload.cached_branches - 1)
    return (BYTES_PER_TOKEN[mode.quantization] + cached) * workload.tokens


def host_bytes(mode: MemoryMode) -> int:
    """Host memory for offloaded blocks, which is pinned and so cannot be swapped out, and for the process."""
    return int(PROCESS_BYTES + PINNING * mode.offloaded * block_bytes(mode))


def block_bytes(mode: MemoryMode) -> int:
    """Size of a block's weights."""
    return BLOCK_PARAMETERS * BYTES_PER_WEIGHT[mode.quantization]


def candidate_modes(request: MemoryRequest, blocks: int = BLOCKS) -> tuple[MemoryMode, ...]:
    """The modes that satisfy a request, from the fastest to the leanest.

    Args:
        request: Of the user.
        blocks: Number of the transformer's blocks.
    """
    quantizations = [request.quantization] if request.quantization else [Quantization.NONE, Quantization.FP8]
    counts = _resident_counts(request, blocks)
    candidates = []
    for quantization in quantizations:
        candidates += [MemoryMode(quantization, resident, blocks) for resident in counts]
        candidates.append(MemoryMode(quantization, counts[-1], blocks, AuxiliaryNetworks.OFFLOADED))
    return tuple(candidates)


def choose_mode(
    free: FreeMemory, workload: Workload, request: MemoryRequest = ANY_MODE, blocks: int = BLOCKS
) -> MemoryMode:
    """The fastest mode that fits GPU and host; where none does, the leanest one that the host can hold.

    Estimates err on the safe side, so a mode that does not fit by them may fit in fact, which shows at once.

    Args:
        free: Free memory.
        workload: What is rendered.
        request: Of the user.
        blocks: Number of the transformer's blocks.
    """
    candidates = candidate_modes(request, blocks)
    if free.gpu_bytes is None:
        return candidates[0]
    held = [mode for mode in candidates if host_bytes(mode) <= free.host_bytes] or [_smallest_on_host(candidates)]
    usable = USABLE_FRACTION * free.gpu_bytes
    return next(
        (mode for mode in held if gpu_bytes(mode, workload) <= usable),
        min(held, key=lambda mode: gpu_bytes(mode, workload)),
    )


def leaner_mode(
    mode: MemoryMode, free: FreeMemory, workload: Workload, request: MemoryRequest = ANY_MODE
) -> MemoryMode | None:
    """The next mode after one that did not fit: with at least a tenth less of GPU memory. None after the leanest.

    Args:
        mode: The mode that ran out of memory.
        free: Only ``host_bytes`` counts: the GPU's free memory has been proved wrong.
        workload: What is rendered.
        request: Of the user.
    """
    limit = 0.9 * gpu_bytes(mode, workload)
    smaller = [
        candidate for candidate in candidate_modes(request, mode.blocks) if gpu_bytes(candidate, workload) <= limit
    ]
    held = [candidate for candidate in smaller if host_bytes(candidate) <= free.host_bytes]
    return held[0] if held else None


def offloaded_numbers(blocks: int, resident: int) -> tuple[int, ...]:
    """Numbers of the offloaded blocks: spread evenly, so that each is copied while those between them compute."""
    offloaded = blocks - resident
    return tuple(number * blocks // offloaded for number in range(offloaded))


def _resident_counts(request: MemoryRequest, blocks: int) -> Sequence[int]:
    """Numbers of resident blocks in descending order: by tenths, from all or from the requested number."""
    tenths = [blocks * tenth // 10 for tenth in range(10, -1, -1)]
    counts = list(dict.fromkeys(tenths))
    if request.resident_parameters is None:
        return counts
    wanted = max(0, request.resident_parameters - OTHER_PARAMETERS) // BLOCK_PARAMETERS
    first = min(blocks, wanted)
    return [first, *(count for count in counts if count < first)]


def _smallest_on_host(candidates: Sequence[MemoryMode]) -> MemoryMode:
    """The mode that takes least of the host, and of those the one that takes least of the GPU."""
    return min(reversed(candidates), key=host_bytes)
