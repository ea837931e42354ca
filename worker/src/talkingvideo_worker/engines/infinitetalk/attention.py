"""Selects the attention back end: the fastest that is installed and runs on the GPU, or the one that is configured."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from talkingvideo_api.errors import ErrorCode, StageError

ATTENTION_VARIABLE = "TALKINGVIDEO_ATTENTION"
"""Names one of diffusers' back ends (``native``, ``_native_cudnn``, ``_flash_3``, ``flash``, ``sage`` …)."""

NATIVE = "native"
"""PyTorch's own choice for each shape: cuDNN's kernels first on data-centre Hopper and Blackwell (9.x, 10.x), otherwise
FlashAttention 2, and others for shapes that neither supports. Naming cuDNN would only lose the others."""

FLASH_3 = "_flash_3"
HOPPER = 9


@dataclass(frozen=True)
class InstalledKernels:
    """The kernels that a machine can use.

    Attributes:
        capability: Compute capability of the GPU; None without one.
        flash_3: Whether FlashAttention 3 is installed.
    """

    capability: tuple[int, int] | None
    flash_3: bool = False


def choose_backend(kernels: InstalledKernels) -> str:
    """The fastest exact back end. Kernels that quantise (``sage``) change pictures, and are used only when configured.

    Args:
        kernels: Those that can be used.
    """
    is_hopper = kernels.capability is not None and kernels.capability[0] == HOPPER
    return FLASH_3 if is_hopper and kernels.flash_3 else NATIVE


def select_attention_backend(transformer: Any, device: torch.device) -> str:
    """Set a transformer's attention back end.

    Args:
        transformer: A model of diffusers.
        device: Where it renders.

    Returns:
        The back end's name.

    Raises:
        StageError: E_PIPELINE_LOAD when the one that ``TALKINGVIDEO_ATTENTION`` names is unknown or not installed.
    """
    configured = os.environ.get(ATTENTION_VARIABLE)
    backend = configured or choose_backend(installed_kernels(device))
    try:
        with _quiet("diffusers.models.modeling_utils"):
            transformer.set_attention_backend(backend)
    except (ValueError, RuntimeError, ImportError) as error:
        if not configured:
            raise
        message = f"{ATTENTION_VARIABLE} is {configured[:40]!r}, which cannot be used: {error}"
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False) from error
    return backend


def installed_kernels(device: torch.device) -> InstalledKernels:
    """The kernels that are installed for a device."""
    if device.type != "cuda":
        return InstalledKernels(None)
    from diffusers.models import attention_dispatch as dispatch

    return InstalledKernels(torch.cuda.get_device_capability(device), dispatch._CAN_USE_FLASH_ATTN_3)


class _quiet:  # noqa: N801 - used like a function
    """Silences loggers below errors: that the interface is experimental does not concern users."""

    def __init__(self, *names: str) -> None:
        self._loggers: Sequence[logging.Logger] = [logging.getLogger(name) for name in names]

    def __enter__(self) -> None:
        self._levels = [logger.level for logger in self._loggers]
        for logger in self._loggers:
            logger.setLevel(logging.ERROR)

    def __exit__(self, *_error: object) -> None:
        for logger, level in zip(self._loggers, self._levels, strict=True):
            logger.setLevel(level)
