"""A block of Wan 2.1 that also attends to the sound, between cross-attention and feed-forward."""

from __future__ import annotations

from typing import Any

from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers.transformer_wan import WanAttention, WanAttnProcessor, WanTransformerBlock
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.model.audio_attention import AudioAttention, AudioContext
from talkingvideo_worker.engines.infinitetalk.model.rotary import rotate
from talkingvideo_worker.engines.infinitetalk.model.routing import attention_to_regions, token_positions


class RegionAttnProcessor(WanAttnProcessor):
    """Self-attention that on demand also tells which region of the first frame each token belongs to."""

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
        regions: Tensor | None = None,
    ) -> Any:
        """Attend.

        Args:
            attn: The module with the weights.
            hidden_states: (batch, tokens, channels).
            encoder_hidden_states: None: this is self-attention.
            attention_mask: None.
            rotary_emb: Cosines and sines.
            regions: (classes, S), 0 or 1, or None.

        Returns:
            Like ``hidden_states``; with regions a pair of it and the tokens' rotary positions for the sound: see
            ``token_positions``.
        """
        if regions is None or rotary_emb is None:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        query, key, value = self.projected(attn, hidden_states, rotary_emb)
        out = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        out = attn.to_out[0](out.flatten(2, 3).type_as(query))
        return out, token_positions(attention_to_regions(query, key, regions))

    @staticmethod
    def projected(
        attn: WanAttention, hidden_states: Tensor, rotary_emb: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys (both turned by the rotary) and values: (batch, tokens, heads, channels)."""
        heads = (attn.heads, -1)
        query = rotate(attn.norm_q(attn.to_q(hidden_states)).unflatten(-1, heads), *rotary_emb)
        key = rotate(attn.norm_k(attn.to_k(hidden_states)).unflatten(-1, heads), *rotary_emb)
        return query, key, attn.to_v(hidden_states).unflatten(-1, heads)


class AudioWanTransformerBlock(WanTransformerBlock):
    """A block of Wan 2.1 with an attention to the sound before its feed-forward.

    Args:
        audio_channels: Channels of the sound's tokens.
        dim: Channels of the picture's tokens.
        num_heads: Number of heads.
        eps: Of the norms.
        **base: The other arguments of ``WanTransformerBlock``.
    """

    def __init__(self, *, audio_channels: int, dim: int, num_heads: int, eps: float, **base: Any) -> None:
        super().__init__(dim=dim, num_heads=num_heads, eps=eps, **base)
        self.attn1.set_processor(RegionAttnProcessor())
        self.norm_x = FP32LayerNorm(dim, eps, elementwise_affine=True)
        self.audio_attn = AudioAttention(dim, num_heads, audio_channels)

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        temb: Tensor,
        rotary_emb: tuple[Tensor, Tensor],
        audio: AudioContext | None = None,
    ) -> Tensor:
        """Run the block; without audio exactly as the base does.

        Args:
            hidden_states: (batch, tokens, channels).
            encoder_hidden_states: (batch, image and text tokens, channels).
            temb: (batch, 6, channels).
            rotary_emb: Cosines and sines.
            audio: What is heard.

        Returns:
            Like ``hidden_states``.
        """
        if audio is None:
            unchanged: Tensor = super().forward(hidden_states, encoder_hidden_states, temb, rotary_emb)
            return unchanged
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (self.scale_shift_table + temb.float()).chunk(6, 1)

        # 1. Self-attention
        normed = (self.norm1(hidden_states.float()) * (1 + scale) + shift).type_as(hidden_states)
        positions = None
        if audio.regions is None:
            attended = self.attn1(normed, None, None, rotary_emb)
        else:
            attended, positions = self.attn1(normed, None, None, rotary_emb, regions=audio.regions)
        hidden_states = (hidden_states.float() + attended * gate).type_as(hidden_states)

        # 2. Cross-attention
        normed = self.norm2(hidden_states.float()).type_as(hidden_states)
        hidden_states = hidden_states + self.attn2(normed, encoder_hidden_states, None, None)

        # 3. Attention to the sound
        normed = self.norm_x(hidden_states.float()).type_as(hidden_states)
        hidden_states = hidden_states + self.audio_attn(normed, audio, positions)

        # 4. Feed-forward
        normed = (self.norm3(hidden_states.float()) * (1 + ffn_scale) + ffn_shift).type_as(hidden_states)
        out: Tensor = hidden_states.float() + self.ffn(normed).float() * ffn_gate
        return out.type_as(hidden_states)
