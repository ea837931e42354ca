"""Wan 2.1's video transformer with InfiniteTalk's audio adapter.

The base keeps the names of diffusers' ``WanTransformer3DModel``, so that its loaders, LoRA conversion, offloading,
casting and attention back ends work unchanged. The adapter adds ``audio_proj`` and, in every block, ``norm_x`` and
``audio_attn`` between cross-attention and feed-forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.utils import apply_lora_scale
from torch import Tensor, nn
from torch.func import functional_call

from talkingvideo_worker.engines.infinitetalk.arrays import Array, as_tensor
from talkingvideo_worker.engines.infinitetalk.model.audio_attention import AudioContext
from talkingvideo_worker.engines.infinitetalk.model.audio_projection import AudioProjection
from talkingvideo_worker.engines.infinitetalk.model.block import AudioWanTransformerBlock
from talkingvideo_worker.engines.infinitetalk.model.routing import CLASSES, token_masks
from talkingvideo_worker.engines.infinitetalk.model.token_share import AllTokens, TokenShare

Blocks = Callable[[Tensor], Tensor]
"""All blocks in turn: tokens (batch, n, channels) in, the same shape out."""


class AudioWanTransformer3DModel(WanTransformer3DModel):
    """``WanTransformer3DModel`` (image to video) that also hears.

    Args:
        audio_window: Features around a video frame, itself in the middle.
        audio_layers: Layers of the speech model that make one feature.
        audio_channels: Channels of each.
        audio_hidden_dim: Width inside the audio projection.
        audio_tokens: Tokens per latent frame and speaker.
        audio_token_dim: Channels of a token.
        vae_scale: Video frames per latent frame.
        The others are ``WanTransformer3DModel``'s; the defaults are the 14B model's.
    """

    _no_split_modules = ["AudioWanTransformerBlock"]  # noqa: RUF012 - the interface of diffusers
    _repeated_blocks = ["AudioWanTransformerBlock"]  # noqa: RUF012
    # Matched against whole components of a name. The published code runs the last layer in float32.
    _keep_in_fp32_modules = [*WanTransformer3DModel._keep_in_fp32_modules, "norm_x", "proj_out"]  # noqa: RUF012

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 36,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        cross_attn_norm: bool = True,  # noqa: FBT001, FBT002 - a stored name of the base's configuration
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = 1280,
        added_kv_proj_dim: int | None = 5120,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: int | None = None,
        audio_window: int = 5,
        audio_layers: int = 12,
        audio_channels: int = 768,
        audio_hidden_dim: int = 512,
        audio_tokens: int = 32,
        audio_token_dim: int = 768,
        vae_scale: int = 4,
    ) -> None:
        super().__init__(
            patch_size=patch_size,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=0,
            cross_attn_norm=cross_attn_norm,
            qk_norm=qk_norm,
            eps=eps,
            image_dim=image_dim,
            added_kv_proj_dim=added_kv_proj_dim,
            rope_max_seq_len=rope_max_seq_len,
            pos_embed_seq_len=pos_embed_seq_len,
        )
        self.register_to_config(num_layers=num_layers)
        self.blocks = nn.ModuleList(
            AudioWanTransformerBlock(
                dim=num_attention_heads * attention_head_dim,
                ffn_dim=ffn_dim,
                num_heads=num_attention_heads,
                qk_norm=qk_norm,
                cross_attn_norm=cross_attn_norm,
                eps=eps,
                added_kv_proj_dim=added_kv_proj_dim,
                audio_channels=audio_token_dim,
            )
            for _ in range(num_layers)
        )
        self.token_share: TokenShare = AllTokens()
        self.audio_proj = AudioProjection(
            audio_window, audio_layers, audio_channels, audio_hidden_dim, audio_tokens, audio_token_dim, vae_scale
        )

    def hear(self, windows: Array, regions: Array | None = None) -> AudioContext:
        """Prepare what a window hears, once for all steps.

        Args:
            windows: (speakers, frames, audio_window, audio_layers, audio_channels), with 1 + 4n frames: the features of
                the speech model around each video frame (five: two before, its own, two after); see ``Tracks``.
            regions: For two speakers: (3, h, w) at the latents' size, above 0 inside; the first speaker's, the second's,
                nobody's. One speaker has no use for it.

        Returns:
            The context of a batch of one.

        Raises:
            ValueError: For more than two speakers, or two without their regions and that of nobody.
        """
        speakers = len(windows)
        if speakers > 2 or (speakers == 2 and regions is None):
            raise ValueError(f"{speakers} speakers: the model knows one, or two with their regions")
        if speakers == 2 and regions is not None and len(regions) != CLASSES:
            raise ValueError(f"{len(regions)} regions: two speakers have {CLASSES}, theirs and that of nobody")
        weight = self.audio_proj.proj1.weight
        tokens = self.audio_proj(as_tensor(windows).to(weight.device, weight.dtype))
        tokens = tokens.transpose(0, 1).flatten(1, 2)[None]
        if speakers == 1 or regions is None:
            return AudioContext(tokens)
        _, rows, columns = self.config.patch_size
        grid = regions.shape[1] // rows, regions.shape[2] // columns
        return AudioContext(tokens, speakers, token_masks(as_tensor(regions).to(tokens.device), *grid))

    def time_modulation(self, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """Time embedding and its projection, which depend on nothing else.

        In float32 whatever the weights' format, as published; the base rounds both to the format. They are one row: what
        the projection's weights take as float32, 0.6 GB in the 14B model, is gone before the blocks begin.

        Args:
            timestep: (n), 0..1000.

        Returns:
            (n, channels) and (n, 6 * channels), float32.
        """
        embedder = self.condition_embedder
        embedding = _in_float32(embedder.time_embedder, embedder.timesteps_proj(timestep))
        return embedding, _in_float32(embedder.time_proj, embedder.act_fn(embedding))

    @apply_lora_scale("attention_kwargs")
    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_states_image: Tensor | None = None,
        return_dict: bool = True,  # noqa: FBT001, FBT002 - the interface of diffusers
        attention_kwargs: dict[str, Any] | None = None,  # noqa: ARG002 - read by the decorator
        audio: AudioContext | None = None,
        around_blocks: Callable[[Tensor, Blocks], Tensor] | None = None,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """Predict the velocity (noise minus data). Without audio and in float32 exactly as the base does.

        Args:
            hidden_states: (batch, 36, frames, height, width): noisy latents, 4 mask channels, reference latents.
            timestep: (batch), 0..1000, not rounded.
            encoder_hidden_states: (batch, 512, text_dim), padded with zeros, which are attended to.
            encoder_hidden_states_image: (batch, 257, image_dim).
            return_dict: Whether to wrap the result.
            attention_kwargs: LoRA's ``scale``.
            audio: What is heard; see ``hear``.
            around_blocks: Called with the tokens of this process and the blocks instead of the blocks alone, which a
                step cache may skip.

        Returns:
            (batch, 16, frames, height, width).

        Raises:
            ValueError: When a size is no multiple of the patch's, or what is heard belongs to other sizes.
        """
        batch, _, *size = hidden_states.shape
        patch = self.config.patch_size
        if any(length % step for length, step in zip(size, patch, strict=True)):
            raise ValueError(f"latents of {size} cannot be cut into patches of {list(patch)}")
        grid = [length // step for length, step in zip(size, patch, strict=True)]
        share, frames = self.token_share, grid[0]
        if audio is not None and audio.tokens.shape[1] != frames:
            raise ValueError(f"there is sound for {audio.tokens.shape[1]} latent frames, not {frames}")
        if audio is not None and audio.regions is not None and audio.regions.shape[1] != grid[1] * grid[2]:
            raise ValueError(
                f"there are regions for {audio.regions.shape[1]} tokens of a frame, not {grid[1] * grid[2]}"
            )
        cosines, sines = self.rope(hidden_states)
        rotary = (share.own(cosines, frames), share.own(sines, frames))
        tokens = self.patch_embedding(hidden_states).flatten(2).transpose(1, 2).contiguous()
        tokens = share.own(tokens, frames)
        temb, projected = self.time_modulation(timestep)
        modulation = projected.unflatten(1, (6, -1))
        context = self.condition_embedder.text_embedder(encoder_hidden_states)
        if encoder_hidden_states_image is not None:
            image = self.condition_embedder.image_embedder(encoder_hidden_states_image)
            context = torch.cat([image, context], 1)

        def blocks(tokens: Tensor) -> Tensor:
            for block in self.blocks:
                tokens = block(tokens, context, modulation, rotary, audio)
            return tokens

        tokens = blocks(tokens) if around_blocks is None else around_blocks(tokens, blocks)
        shift, scale = (self.scale_shift_table + temb[:, None]).chunk(2, 1)
        tokens = self.norm_out(tokens.float()) * (1 + scale) + shift
        patches = share.all(self.proj_out(tokens.to(self.proj_out.weight.dtype)), frames)
        patches = patches.reshape(batch, *grid, *patch, patches.shape[-1] // math.prod(patch))
        output = patches.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)
        return Transformer2DModelOutput(sample=output) if return_dict else (output,)


def _in_float32(module: nn.Module, values: Tensor) -> Tensor:
    """Call a module as if its weights were in float32."""
    weights = {name: weight.float() for name, weight in module.named_parameters()}
    out: Tensor = functional_call(module, weights, (values.float(),))
    return out
