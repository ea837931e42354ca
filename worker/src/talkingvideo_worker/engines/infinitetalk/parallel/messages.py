"""Messages between rank 0 and the workers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from talkingvideo_api.errors import ErrorCode
from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, Schedule
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch

DenoiseArguments: TypeAlias = tuple[Tensor, Tensor, Mapping[Branch, Condition], Schedule]
"""Noise, motion, conditions and schedule: the arguments of ``denoise`` that all ranks share."""


@dataclass(frozen=True)
class JoinGroup:
    """Command: join the process group.

    Attributes:
        config: How the work is divided.
        port: Of rank 0's store on this machine.
    """

    config: ParallelConfig
    port: int


@dataclass(frozen=True)
class Denoise:
    """Command: take part in denoising one window.

    Attributes:
        arguments: As ``torch.save`` writes them: with their tensors, for another process and another device.
    """

    arguments: bytes

    @classmethod
    def pack(cls, arguments: DenoiseArguments) -> Denoise:
        """The command for some arguments."""
        buffer = io.BytesIO()
        torch.save(arguments, buffer)
        return cls(buffer.getvalue())

    def unpack(self, device: torch.device) -> DenoiseArguments:
        """The arguments, with their tensors on a device."""
        # Not only weights: the arguments come from the parent process and from nowhere else.
        arguments: DenoiseArguments = torch.load(io.BytesIO(self.arguments), map_location=device, weights_only=False)
        return arguments


@dataclass(frozen=True)
class Ready:
    """Reply: the model is loaded."""


@dataclass(frozen=True)
class Failed:
    """Reply: the worker cannot continue.

    Attributes:
        code: Of the error.
        message: For people.
        field: Of the resource, when one is the cause.
        is_gpu_oom: Whether its GPU's memory ran out, so that a leaner memory mode may help.
        is_cause: Whether the failure is its own, rather than a consequence of losing another process.
    """

    code: ErrorCode
    message: str
    field: str | None = None
    is_gpu_oom: bool = False
    is_cause: bool = True


Command = JoinGroup | Denoise
Reply = Ready | Failed
