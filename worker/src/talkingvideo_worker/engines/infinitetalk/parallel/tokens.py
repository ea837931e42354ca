"""Sequence parallelism by an exchange of heads (Ulysses) that keeps latent frames whole.

Every process takes the same places of *every* latent frame. So the attention to the sound, which is per frame,
cross-attention and feed-forward need nobody else. For self-attention the processes exchange tokens for heads: each gets
all tokens of some heads, and gives the results back.

Jacobs et al., "DeepSpeed Ulysses: System Optimizations for Enabling Training of Extreme Long Sequence Transformer
Models", 2023 (arXiv 2309.14509). diffusers' own context parallelism cuts the sequence in contiguous parts, across
frames, does not give the queries and keys that the routing of two speakers needs, and knows only some attention back
ends; around the exchange here every back end works.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_wan import WanAttention
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.model.block import RegionAttnProcessor
from talkingvideo_worker.engines.infinitetalk.model.routing import attention_to_regions, token_positions
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel


class SharedTokens:
    """The tokens of one prediction, shared by the processes of a group.

    Args:
        group: The processes.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self._group = group
        self.ranks = dist.get_world_size(group)
        self.rank = dist.get_rank(group)

    def own(self, tokens: Tensor, frames: int) -> Tensor:
        """This process's places of every latent frame: (batch, frames * n, …) to (batch, frames * n / ranks, …)."""
        own: Tensor = tokens.unflatten(1, (frames, self.ranks, -1))[:, :, self.rank].flatten(1, 2)
        return own

    def all(self, tokens: Tensor, frames: int) -> Tensor:
        """The inverse of ``own``, with the parts of all processes."""
        parts = tokens.new_empty(self.ranks, *tokens.shape)
        dist.all_gather_into_tensor(parts.flatten(0, 1), tokens.contiguous(), self._group)
        together: Tensor = parts.unflatten(2, (frames, -1)).movedim(0, 2).flatten(1, 3)
        return together

    def by_heads(self, tokens: Tensor) -> Tensor:
        """Give tokens, get heads: (batch, n, heads, channels) to (batch, ranks * n, heads / ranks, channels).

        Tokens come one process's after the other's.
        """
        return self._exchange(tokens.unflatten(2, (self.ranks, -1)).movedim(2, 0)).transpose(0, 1).flatten(1, 2)

    def by_tokens(self, heads: Tensor) -> Tensor:
        """The inverse of ``by_heads``."""
        return self._exchange(heads.unflatten(1, (self.ranks, -1)).movedim(1, 0)).movedim(0, 2).flatten(2, 3)

    def first_frame(self, tokens: Tensor, places: int) -> Tensor:
        """Tokens of latent frame 0 in their order, out of those that ``by_heads`` gave.

        Args:
            tokens: (batch, frames * places, heads, channels).
            places: Tokens of a latent frame.
        """
        first: Tensor = tokens.unflatten(1, (self.ranks, -1, places // self.ranks))[:, :, 0].flatten(1, 2)
        return first

    def own_positions(self, attention: Tensor) -> Tensor:
        """Rotary positions of this process's tokens.

        Args:
            attention: (batch, classes, tokens) of all tokens as ``by_heads`` gave them, a mean over this process's heads.

        Returns:
            (batch, own tokens): scaled by the smallest and largest of all.
        """
        total = attention.contiguous()
        dist.all_reduce(total, group=self._group)
        return token_positions(total / self.ranks).chunk(self.ranks, 1)[self.rank]

    def _exchange(self, parts: Tensor) -> Tensor:
        """Give part i to process i, and get one of each: (ranks, …)."""
        given = parts.contiguous()
        taken = torch.empty_like(given)
        dist.all_to_all_single(taken, given, group=self._group)
        return taken


class SharedAttnProcessor(RegionAttnProcessor):
    """Self-attention of tokens that several processes share.

    Args:
        tokens: How they are shared.
        backend: Of the attention; None for the usual one.
    """

    def __init__(self, tokens: SharedTokens, backend: Any) -> None:
        super().__init__()
        self._tokens = tokens
        self._attention_backend = backend

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,  # noqa: ARG002
        attention_mask: Tensor | None = None,  # noqa: ARG002
        rotary_emb: tuple[Tensor, Tensor] | None = None,
        regions: Tensor | None = None,
    ) -> Any:
        """Attend; see ``RegionAttnProcessor``, with this process's tokens for all."""
        if rotary_emb is None:
            raise ValueError("self-attention needs the tokens' rotary")
        share = self._tokens
        query, key, value = (share.by_heads(part) for part in self.projected(attn, hidden_states, rotary_emb))
        heard = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        out = attn.to_out[0](share.by_tokens(heard).flatten(2, 3).type_as(query))
        if regions is None:
            return out
        first_frame = share.first_frame(key, regions.shape[1])
        return out, share.own_positions(attention_to_regions(query, first_frame, regions))


def share_tokens(transformer: AudioWanTransformer3DModel, group: dist.ProcessGroup) -> None:
    """Let a transformer calculate its part of every prediction, together with the same one in other processes.

    Args:
        transformer: The model, with its attention back end set.
        group: The processes; their number divides the heads and the tokens of a latent frame.
    """
    tokens = SharedTokens(group)
    transformer.token_share = tokens
    for module in transformer.modules():
        if isinstance(module, WanAttention) and isinstance(module.processor, RegionAttnProcessor):
            module.set_processor(SharedAttnProcessor(tokens, module.processor._attention_backend))
