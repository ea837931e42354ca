"""Which of a window's tokens this process works on: all of them, unless several GPUs share a window."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class TokenShare(Protocol):
    """How the tokens of a window are shared out. Only self-attention looks at tokens of others."""

    def own(self, tokens: Tensor, frames: int) -> Tensor:
        """The tokens of this process: (batch, frames * n, …) to the same part of every latent frame, in order."""
        ...

    def all(self, tokens: Tensor, frames: int) -> Tensor:
        """What ``own`` divided, together again; every process gets it."""
        ...


class AllTokens:
    """No sharing."""

    def own(self, tokens: Tensor, frames: int) -> Tensor:  # noqa: ARG002
        """All of them."""
        return tokens

    def all(self, tokens: Tensor, frames: int) -> Tensor:  # noqa: ARG002
        """The same."""
        return tokens
