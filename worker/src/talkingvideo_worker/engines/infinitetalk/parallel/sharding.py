"""Sharding: different branches of guidance in different processes, and the tokens of one branch in several.

Tokens are sharded by sequence parallelism with an exchange of heads (Ulysses) that keeps latent frames whole: every
process takes the same positions of *every* latent frame. So the attention to the audio, which is per frame,
cross-attention and feed-forward need no other process. For self-attention the processes exchange tokens for heads: each
gets all tokens of some heads, and gives the results back.

Jacobs et al., "DeepSpeed Ulysses: System Optimizations for Enabling Training of Extreme Long Sequence Transformer
Models", 2023 (arXiv 2309.14509). diffusers' own context parallelism cuts the sequence into contiguous parts, across
frames, does not provide the queries and keys that the routing of two speakers needs, and supports some attention back
ends only; around the exchange here every back end works.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_wan import WanAttention
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch, Predictions
from talkingvideo_worker.engines.infinitetalk.transformer import (
    AudioWanTransformer3DModel,
    RegionAttnProcessor,
    attention_to_regions,
    token_positions,
)


class ShardedBranches:
    """Branches distributed round-robin.

    Every process ends each step with the same predictions, so that all compute the same next latents, and the state of
    guidance is the same everywhere.

    Args:
        group: One process of each branch group, this one included.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self._group = group
        self._ranks = dist.get_world_size(group)
        self._rank = dist.get_rank(group)

    def shard(self, branches: Sequence[Branch]) -> Sequence[Branch]:
        """Every n-th branch."""
        return branches[self._rank :: self._ranks]

    def gather(self, predictions: Predictions, branches: Sequence[Branch], like: Tensor) -> Predictions:
        """See ``BranchSharding``: every process broadcasts its predictions."""
        return {
            branch: self._broadcast(predictions.get(branch), index % self._ranks, like)
            for index, branch in enumerate(branches)
        }

    def _broadcast(self, prediction: Tensor | None, source: int, like: Tensor) -> Tensor:
        tensor = torch.empty_like(like) if prediction is None else prediction.contiguous()
        dist.broadcast(tensor, group=self._group, group_src=source)
        return tensor


class ShardedTokens:
    """The tokens of one prediction, divided among the processes of a group.

    Args:
        group: The processes.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self._group = group
        self.ranks = dist.get_world_size(group)
        self.rank = dist.get_rank(group)

    def shard(self, tokens: Tensor, frames: int) -> Tensor:
        """This process's positions of every latent frame: (batch, frames * n, …) to (batch, frames * n / ranks, …)."""
        shard: Tensor = tokens.unflatten(1, (frames, self.ranks, -1))[:, :, self.rank].flatten(1, 2)
        return shard

    def gather(self, tokens: Tensor, frames: int) -> Tensor:
        """The inverse of ``shard``, with the shards of all processes."""
        shards = tokens.new_empty(self.ranks, *tokens.shape)
        dist.all_gather_into_tensor(shards.flatten(0, 1), tokens.contiguous(), self._group)
        gathered: Tensor = shards.unflatten(2, (frames, -1)).movedim(0, 2).flatten(1, 3)
        return gathered

    def by_heads(self, tokens: Tensor) -> Tensor:
        """Exchange tokens for heads: (batch, n, heads, channels) to (batch, ranks * n, heads / ranks, channels).

        The tokens are ordered by process.
        """
        return self._exchange(tokens.unflatten(2, (self.ranks, -1)).movedim(2, 0)).transpose(0, 1).flatten(1, 2)

    def by_tokens(self, heads: Tensor) -> Tensor:
        """The inverse of ``by_heads``."""
        return self._exchange(heads.unflatten(1, (self.ranks, -1)).movedim(1, 0)).movedim(0, 2).flatten(2, 3)

    def first_frame(self, tokens: Tensor, frame_tokens: int) -> Tensor:
        """The tokens of latent frame 0 in their order, from the result of ``by_heads``.

        Args:
            tokens: (batch, frames * frame_tokens, heads, channels).
            frame_tokens: Tokens of a latent frame.
        """
        first: Tensor = tokens.unflatten(1, (self.ranks, -1, frame_tokens // self.ranks))[:, :, 0].flatten(1, 2)
        return first

    def local_positions(self, attention: Tensor) -> Tensor:
        """Rotary positions of this process's tokens.

        Args:
            attention: (batch, classes, tokens) of all tokens in the order of ``by_heads``, averaged over this process's
                heads.

        Returns:
            (batch, this process's tokens), scaled by the smallest and largest value of all processes.
        """
        total = attention.contiguous()
        dist.all_reduce(total, group=self._group)
        return token_positions(total / self.ranks).chunk(self.ranks, 1)[self.rank]

    def _exchange(self, parts: Tensor) -> Tensor:
        """Send part i to process i, and receive one part from each: (ranks, …)."""
        sent = parts.contiguous()
        received = torch.empty_like(sent)
        dist.all_to_all_single(received, sent, group=self._group)
        return received


class UlyssesAttnProcessor(RegionAttnProcessor):
    """Self-attention over tokens that are sharded among several processes.

    Args:
        tokens: The sharding.
        backend: Of the attention; None for the default one.
    """

    def __init__(self, tokens: ShardedTokens, backend: Any) -> None:
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
        """Attend; see ``RegionAttnProcessor``. All tokens are this process's shard of them."""
        if rotary_emb is None:
            raise ValueError("self-attention needs the tokens' rotary embedding")
        tokens = self._tokens
        query, key, value = (tokens.by_heads(part) for part in self.projected(attn, hidden_states, rotary_emb))
        attended = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        out = attn.to_out[0](tokens.by_tokens(attended).flatten(2, 3).type_as(query))
        if regions is None:
            return out
        first_frame = tokens.first_frame(key, regions.shape[1])
        return out, tokens.local_positions(attention_to_regions(query, first_frame, regions))


def shard_tokens(transformer: AudioWanTransformer3DModel, group: dist.ProcessGroup) -> None:
    """Make a transformer compute its shard of every prediction, together with the same one in other processes.

    Args:
        transformer: The model, with its attention back end set.
        group: The processes; their number divides the heads and the tokens of a latent frame.
    """
    tokens = ShardedTokens(group)
    transformer.token_sharding = tokens
    for module in transformer.modules():
        if isinstance(module, WanAttention) and isinstance(module.processor, RegionAttnProcessor):
            module.set_processor(UlyssesAttnProcessor(tokens, module.processor._attention_backend))
