"""Memory modes: from everything on the GPU to what fits beside little else. Decisions only, no torch.

The ladder goes down in the order of what is lost. Blocks that wait in pinned host memory cost nothing but host memory
and PCIe traffic: one block computes for longer than the next takes to arrive (at 640x640 47 TFLOP, 80 ms on an H100 at
600 TFLOP/s; 0.93 GB at 20 GB/s take 46 ms), so they come before FP8, which costs precision, and before decoding in
tiles, which costs seams. All bytes are decimal.

The text encoder (umT5-XXL, 5.68 B parameters, 11.4 GB in bfloat16) stands in no sum: prompts are the same for all
windows, so it is dropped once they are encoded, before the transformer comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from talkingvideo_api.spec import Quantization
from talkingvideo_api.values import Sampling

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

VIDEO_CODEC_BYTES = int(0.4 * GB)
"""The VAE's 127 M parameters: encoder in float32, decoder in bfloat16."""

SLOTS = 2
"""Blocks on the GPU for those that wait in host memory: one computes, the next arrives."""

BYTES_PER_TOKEN = {Quantization.NONE: 137_000, Quantization.FP8: 143_000, Quantization.INT8: 137_000}
"""Largest sum of the tensors that are alive at once in a call of the transformer in bfloat16, uncompiled, per token, for
two speakers (8,000 less for one), counted with the full-size model on the meta device. Layers that multiply in 8 bits
hold codes of their inputs, too."""

RESIDUAL_BYTES_PER_TOKEN = 10_240
"""What the step cache keeps of a branch, in bfloat16."""

CODEC_BYTES_PER_PIXEL = 10_700 + 3 * 972
"""Decoding 81 frames in bfloat16: 10,630 (counted likewise), and three copies of the video in float32 for the colours.
Encoding 81 frames in float32 takes 15,100, without such copies."""

ENCODING_BYTES_PER_PIXEL = 15_100

TILED_BYTES_PER_PIXEL = 4_610 + 3 * 972
"""The same in tiles of 256: 2,370 in bfloat16, 4,610 in float32."""

SPARE = 1.10
"""Activations with what the allocator loses to fragments and kernels take as work space [estimate]."""

WORKSPACE_BYTES = int(0.8 * GB)
"""cuBLAS, cuDNN and loaded kernels [estimate]."""

USABLE = 0.96
"""Part of what the GPU says is free that is counted on."""

PINNING = 1.16
"""PyTorch's allocator of pinned memory rounds up to powers of two: 928 MB take 1,074 MB, 465 MB take 537 MB."""

PROCESS_BYTES = 4 * GB
"""Python, torch, CUDA's own host memory and the frames on their way to the encoder [estimate]."""


class Surroundings(StrEnum):
    """How the networks around the transformer are kept."""

    KEPT = "Kept"
    """Image encoder on the GPU, pictures decoded whole."""
    FRUGAL = "Frugal"
    """Image encoder in host memory between uses, pictures decoded in tiles."""


@dataclass(frozen=True)
class MemoryMode:
    """One layout.

    Attributes:
        precision: Of the linear layers of the blocks.
        resident: Blocks that stay on the GPU; the others wait in host memory.
        blocks: Of the transformer.
        surroundings: How the networks around the transformer are kept.
    """

    precision: Quantization = Quantization.NONE
    resident: int = BLOCKS
    blocks: int = BLOCKS
    surroundings: Surroundings = Surroundings.KEPT

    @property
    def waiting(self) -> int:
        """Blocks that wait in host memory."""
        return self.blocks - self.resident

    def __str__(self) -> str:
        """For people, such as ``BF16, 12 of 40 blocks resident``."""
        precision = "BF16" if self.precision is Quantization.NONE else str(self.precision).upper()
        place = "resident" if not self.waiting else f"{self.resident} of {self.blocks} blocks resident"
        return f"{precision}, {place}" + (", tiled" if self.surroundings is Surroundings.FRUGAL else "")


@dataclass(frozen=True)
class Job:
    """What is rendered, as far as it takes memory.

    Attributes:
        pixels: Of a frame.
        frames: Of a window.
        token_shares: GPUs that divide the tokens of a call between them.
        cached_branches: Of guidance, for which one GPU keeps what the blocks did, so that steps may skip them.
    """

    pixels: int
    frames: int = 81
    token_shares: int = 1
    cached_branches: int = 0

    @property
    def tokens(self) -> int:
        """Of a call of the transformer on one GPU: 4 frames and 16 x 16 pixels make one."""
        return (1 + (self.frames - 1) // 4) * self.pixels // 256 // self.token_shares


@dataclass(frozen=True)
class Machine:
    """What is free.

    Attributes:
        gpu_bytes: Of the GPU; None where there is none, so that nothing is gained by moving weights.
        host_bytes: Of the host, within the container's limit.
    """

    gpu_bytes: int | None
    host_bytes: int


@dataclass(frozen=True)
class Asked:
    """What a user asks for; None leaves it to the machine.

    Attributes:
        precision: Number format of the blocks' weights.
        resident_parameters: Parameters of the transformer that stay on the GPU.
    """

    precision: Quantization | None = None
    resident_parameters: int | None = None


FREE = Asked()
"""Nothing is asked for."""


def asked_for(sampling: Sampling) -> Asked:
    """What a resource asks for."""
    return Asked(sampling.quantization, sampling.resident_parameters)


def gpu_bytes(mode: MemoryMode, job: Job) -> int:
    """Peak on one GPU: the transformer's weights, and the larger of a call and of the video codec's work."""
    slots = min(SLOTS, mode.waiting)
    weights = 2 * OTHER_PARAMETERS + (mode.resident + slots) * block_bytes(mode)
    whole = max(CODEC_BYTES_PER_PIXEL, ENCODING_BYTES_PER_PIXEL)
    kept, per_pixel = {
        Surroundings.KEPT: (IMAGE_ENCODER_BYTES + VIDEO_CODEC_BYTES, whole),
        Surroundings.FRUGAL: (VIDEO_CODEC_BYTES, TILED_BYTES_PER_PIXEL),
    }[mode.surroundings]
    codec = per_pixel * job.pixels * job.frames / 81
    return int(weights + kept + WORKSPACE_BYTES + SPARE * max(call_bytes(mode, job), codec))


def call_bytes(mode: MemoryMode, job: Job) -> int:
    """Peak of a call beside the weights; what is cached of its own branch makes room for it."""
    cached = RESIDUAL_BYTES_PER_TOKEN * max(0, job.cached_branches - 1)
    return (BYTES_PER_TOKEN[mode.precision] + cached) * job.tokens


def host_bytes(mode: MemoryMode) -> int:
    """Host memory for blocks that wait, which is pinned and so cannot be given back, and for the process."""
    return int(PROCESS_BYTES + PINNING * mode.waiting * block_bytes(mode))


def block_bytes(mode: MemoryMode) -> int:
    """A block's weights."""
    return BLOCK_PARAMETERS * BYTES_PER_WEIGHT[mode.precision]


def ladder(asked: Asked, blocks: int = BLOCKS) -> tuple[MemoryMode, ...]:
    """Modes from the fastest to the leanest, as far as they do what is asked.

    Args:
        asked: By the user.
        blocks: Of the transformer.
    """
    precisions = [asked.precision] if asked.precision else [Quantization.NONE, Quantization.FP8]
    counts = _resident_counts(asked, blocks)
    rungs = []
    for precision in precisions:
        rungs += [MemoryMode(precision, resident, blocks) for resident in counts]
        rungs.append(MemoryMode(precision, counts[-1], blocks, Surroundings.FRUGAL))
    return tuple(rungs)


def choose_mode(machine: Machine, job: Job, asked: Asked = FREE, blocks: int = BLOCKS) -> MemoryMode:
    """The first rung of the ladder that fits GPU and host; where none does, the leanest that the host can hold.

    Estimates err on the safe side, so a mode that does not fit by them may still do: whether it did is seen at once.

    Args:
        machine: What is free.
        job: What is rendered.
        asked: By the user.
        blocks: Of the transformer.
    """
    rungs = ladder(asked, blocks)
    if machine.gpu_bytes is None:
        return rungs[0]
    held = [mode for mode in rungs if host_bytes(mode) <= machine.host_bytes] or [_lightest(rungs)]
    usable = USABLE * machine.gpu_bytes
    return next(
        (mode for mode in held if gpu_bytes(mode, job) <= usable), min(held, key=lambda mode: gpu_bytes(mode, job))
    )


def leaner(mode: MemoryMode, machine: Machine, job: Job, asked: Asked = FREE) -> MemoryMode | None:
    """The next mode below one that did not fit: at least a tenth less of the GPU. None below the leanest.

    Args:
        mode: That ran out of memory.
        machine: Only ``host_bytes`` counts: what the GPU said was free has been proved wrong.
        job: What is rendered.
        asked: By the user.
    """
    enough = 0.9 * gpu_bytes(mode, job)
    lower = [rung for rung in ladder(asked, mode.blocks) if gpu_bytes(rung, job) <= enough]
    held = [rung for rung in lower if host_bytes(rung) <= machine.host_bytes]
    return held[0] if held else None


def waiting_blocks(blocks: int, resident: int) -> tuple[int, ...]:
    """Which blocks wait in host memory: spread evenly, so that each has the time of the others to arrive."""
    waiting = blocks - resident
    return tuple(number * blocks // waiting for number in range(waiting))


def _resident_counts(asked: Asked, blocks: int) -> Sequence[int]:
    """Numbers of resident blocks, falling: by tenths, from all or from what is asked."""
    tenths = [blocks * tenth // 10 for tenth in range(10, -1, -1)]
    counts = list(dict.fromkeys(tenths))
    if asked.resident_parameters is None:
        return counts
    wanted = max(0, asked.resident_parameters - OTHER_PARAMETERS) // BLOCK_PARAMETERS
    first = min(blocks, wanted)
    return [first, *(count for count in counts if count < first)]


def _lightest(rungs: Sequence[MemoryMode]) -> MemoryMode:
    """The rung that asks least of the host, and of those the one that asks least of the GPU."""
    return min(reversed(rungs), key=host_bytes)
