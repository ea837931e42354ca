"""Wan 2.1's video transformer with InfiniteTalk's audio adapter, whole: from rotary embedding to the model's class.

The base keeps the names of diffusers' ``WanTransformer3DModel``, so that its loaders, LoRA conversion, offloading,
casting and attention back ends work unchanged. The adapter adds ``audio_proj`` and, in every block, ``norm_x`` and
``audio_attn`` between cross-attention and feed-forward.

Two speakers: which of them a token of the picture belongs to (InfiniteTalk's label rotary, after MultiTalk's L-RoPE). A
block's own self-attention says how strongly a token attends to each speaker's region of the first latent frame. The token
takes the class with the most attention. Its query is rotated by a position inside that class's range, and the keys of
each speaker's audio by the centre of theirs, so that a token attends to its own speaker.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers.transformer_wan import (
    WanAttention,
    WanAttnProcessor,
    WanTransformer3DModel,
    WanTransformerBlock,
)
from diffusers.utils import apply_lora_scale
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

Array: TypeAlias = Tensor | NDArray[Any]
"""A tensor on any device or a numpy array, of any float type."""


def as_tensor(values: Array) -> Tensor:
    """The same values as a tensor, sharing memory where torch can: it cannot for views with negative strides."""
    return torch.as_tensor(np.ascontiguousarray(values) if isinstance(values, np.ndarray) else values)


TEXT_TOKENS = 512
"""Length to which prompts are padded with zeros. The model attends to the padding."""


class TokenSharding(Protocol):
    """How the tokens of a window are divided among processes. Only self-attention needs the tokens of the others."""

    def shard(self, tokens: Tensor, frames: int) -> Tensor:
        """This process's tokens: (batch, frames * n, …) to the same part of every latent frame, in order."""
        ...

    def gather(self, tokens: Tensor, frames: int) -> Tensor:
        """The inverse of ``shard``: the tokens of all processes, in every process."""
        ...


class UnshardedTokens:
    """One process has all tokens."""

    def shard(self, tokens: Tensor, frames: int) -> Tensor:  # noqa: ARG002
        """All tokens."""
        return tokens

    def gather(self, tokens: Tensor, frames: int) -> Tensor:  # noqa: ARG002
        """The same tokens."""
        return tokens


THETA = 10_000.0


def frequencies(positions: Tensor, channels: int, theta: float = THETA) -> tuple[Tensor, Tensor]:
    """Cosines and sines of one-dimensional positions.

    Args:
        positions: (…, n), whole or fractional.
        channels: Of one head; even.
        theta: Base of the wavelengths.

    Returns:
        Two tensors (…, n, channels), float32; both halves of a pair hold the same value.
    """
    exponents = torch.arange(0, channels, 2, dtype=torch.float32, device=positions.device) / channels
    angles = positions.float()[..., None] * theta**-exponents
    return angles.cos().repeat_interleave(2, -1), angles.sin().repeat_interleave(2, -1)


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotate each pair (x1, x2) of channels by its angle: (x1 cos - x2 sin, x2 cos + x1 sin).

    Args:
        x: (…, channels).
        cosines: Broadcastable to ``x``.
        sines: Likewise.

    Returns:
        Like ``x``, in its dtype; calculated in the wider one of ``x`` and the angles.
    """
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    rotated = torch.stack((-second, first), -1).flatten(-2)
    return (x * cosines + rotated * sines).to(x.dtype)


SPEAKER_RANGES = ((0.0, 4.0), (20.0, 24.0))
"""Rotary positions of the tokens of each speaker."""

CLASSES = len(SPEAKER_RANGES) + 1
"""Regions: the first speaker's, the second's, the background."""

BACKGROUND = 12.0
"""Rotary position of a token that belongs to neither speaker."""


def token_masks(masks: Tensor, height: int, width: int) -> Tensor:
    """Bring masks from the latents' grid to that of the tokens.

    Args:
        masks: (classes, h, w); above 0 is inside.
        height: Rows of tokens.
        width: Columns of tokens.

    Returns:
        (classes, height * width), float32, 0 or 1.
    """
    resized = F.interpolate(masks[None].float(), size=(height, width), mode="nearest")[0]
    return (resized > 0).float().flatten(1)


def attention_to_regions(query: Tensor, key: Tensor, masks: Tensor) -> Tensor:
    """How much attention each token gives to the mean token of each region.

    The softmax runs over the tokens of latent frame 0 only. One attention call with the regions as values, so the
    matrix of weights need not exist; they are 0 and 1, which every format can hold, and are divided by their sizes afterwards.
    Values are as wide as keys, and contiguous, which is what the kernels of self-attention take; for others torch falls
    back to one that writes the matrix. Of an odd number of heads the published code leaves out the last; its model has 40.

    Args:
        query: (batch, tokens, heads, channels), after normalisation and rotary.
        key: Likewise.
        masks: (classes, S), 0 or 1, over the S tokens of latent frame 0.

    Returns:
        (batch, classes, tokens), float32: mean over the heads. A region without tokens gets 0.
    """
    batch, _, heads, channels = query.shape
    classes, sizes = len(masks), masks.sum(1).clamp(min=1)
    padded = F.pad(masks.T, (0, channels - classes)).to(query.dtype)
    values = padded.expand(batch, heads, -1, -1).contiguous()
    first_frame = key[:, : masks.shape[1]]
    attention = F.scaled_dot_product_attention(query.transpose(1, 2), first_frame.transpose(1, 2), values)
    return (attention[..., :classes].float().mean(1) / sizes).transpose(1, 2)


def rescaled(values: Tensor, low: float, high: float) -> Tensor:
    """Values stretched so that their smallest and largest (over the last axis) become ``low`` and ``high``."""
    smallest, largest = values.amin(-1, keepdim=True), values.amax(-1, keepdim=True)
    return (values - smallest) / (largest - smallest + 1e-8) * (high - low) + low


def token_positions(attention: Tensor) -> Tensor:
    """Rotary positions of the tokens.

    In float32 whatever the model's dtype: in bfloat16 positions around 22 would move in steps of 0.125.

    Args:
        attention: (batch, 3, tokens) of the first speaker, the second, and the background.

    Returns:
        (batch, tokens).
    """
    speakers = [rescaled(attention[:, i], *limits) for i, limits in enumerate(SPEAKER_RANGES)]
    candidates = torch.stack([*speakers, torch.full_like(speakers[0], BACKGROUND)], 1)
    return candidates.gather(1, attention.argmax(1, keepdim=True))[:, 0]


def key_positions(tokens: int, device: torch.device) -> Tensor:
    """Rotary positions of the audio tokens of one latent frame, first speaker first.

    Args:
        tokens: Of one speaker.
        device: Of the result.

    Returns:
        (2 * tokens).
    """
    return torch.cat([torch.full((tokens,), (low + high) / 2, device=device) for low, high in SPEAKER_RANGES])


class AudioProjection(nn.Module):
    """Three linear layers over the features around each latent frame.

    The first latent frame stands for one video frame and gets that frame's whole window. Every further one stands for
    ``vae_scale`` frames; of their windows it gets the contiguous span without repetitions, ``window + vae_scale - 1``
    features long.

    Args:
        window: Features around a video frame, itself in the middle; odd.
        layers: Layers of the speech model whose outputs make one feature.
        channels: Of each layer.
        hidden: Width between the linear layers.
        tokens: Tokens per latent frame and speaker.
        token_channels: Channels of a token.
        vae_scale: Video frames per latent frame.
    """

    def __init__(
        self, window: int, layers: int, channels: int, hidden: int, tokens: int, token_channels: int, vae_scale: int
    ) -> None:
        super().__init__()
        self.middle, self.tokens, self.vae_scale = window // 2, tokens, vae_scale
        self.proj1 = nn.Linear(window * layers * channels, hidden)
        self.proj1_vf = nn.Linear((window + vae_scale - 1) * layers * channels, hidden)
        self.proj2 = nn.Linear(hidden, hidden)
        self.proj3 = nn.Linear(hidden, tokens * token_channels)
        self.norm = FP32LayerNorm(token_channels, eps=1e-5)

    def forward(self, windows: Tensor) -> Tensor:
        """Project.

        Args:
            windows: (speakers, frames, window, layers, channels); ``1 + vae_scale * n`` frames.

        Returns:
            (speakers, 1 + n, tokens, token_channels).
        """
        first = self.proj1(windows[:, :1].flatten(2))
        later = self.proj1_vf(self.spans(windows[:, 1:]).flatten(2))
        hidden = torch.cat([first, later], 1).relu()
        tokens = self.proj3(self.proj2(hidden).relu()).unflatten(-1, (self.tokens, -1))
        normalised: Tensor = self.norm(tokens)
        return normalised

    def spans(self, windows: Tensor) -> Tensor:
        """The features of each later latent frame: its first frame's past, its frames, its last frame's future.

        Args:
            windows: (speakers, vae_scale * n, window, layers, channels).

        Returns:
            (speakers, n, window + vae_scale - 1, layers, channels).
        """
        groups = windows.unflatten(1, (-1, self.vae_scale))
        past, inner, future = groups[:, :, 0], groups[:, :, 1:-1], groups[:, :, -1]
        parts = [past[:, :, : self.middle + 1], inner[:, :, :, self.middle], future[:, :, self.middle :]]
        return torch.cat(parts, 2)


@dataclass(frozen=True)
class AudioContext:
    """The encoded audio of a window; the same in all steps and blocks.

    Attributes:
        tokens: (batch, latent frames, speakers * n, channels), the first speaker's first.
        speakers: One, or two with ``regions``.
        regions: (3, tokens of a latent frame), 0 or 1: the first speaker's, the second's, the background. None for one speaker.
    """

    tokens: Tensor
    speakers: int = 1
    regions: Tensor | None = None


class AudioAttnProcessor:
    """Attention of each latent frame to its own audio tokens.

    With positions, queries and keys are rotated by them, which tells the speakers apart.
    """

    _attention_backend: Any = None
    _parallel_config: Any = None

    def __call__(
        self, attn: AudioAttention, hidden_states: Tensor, audio: AudioContext, positions: Tensor | None = None
    ) -> Tensor:
        """Attend.

        Args:
            attn: The module with the weights.
            hidden_states: (batch, tokens, channels), frame after frame.
            audio: The window's audio.
            positions: (batch, tokens), for two speakers only.

        Returns:
            Like ``hidden_states``.
        """
        batch, frames, audio_tokens, _ = audio.tokens.shape
        query = attn.to_q(hidden_states).unflatten(-1, (attn.heads, -1))
        keys_values = attn.to_kv(audio.tokens).flatten(0, 1)
        key, value = (part.unflatten(-1, (attn.heads, -1)) for part in keys_values.chunk(2, -1))
        if positions is not None:
            channels = query.shape[-1]
            query = rotate(query, *(part[:, :, None] for part in frequencies(positions, channels)))
            centres = key_positions(audio_tokens // audio.speakers, key.device)
            key = rotate(key, *(part[:, None] for part in frequencies(centres, channels)))
        query = query.unflatten(1, (frames, -1)).flatten(0, 1)
        out = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        out = out.flatten(2, 3).unflatten(0, (batch, frames)).flatten(1, 2)
        attended: Tensor = attn.to_out(out.type_as(hidden_states))
        return attended


class AudioAttention(nn.Module, AttentionModuleMixin):
    """One block's attention to the audio.

    Keys and values are computed in every call: for 21 latent frames of 32 tokens they are 0.02 % of the model's
    arithmetic, which is not worth the 0.5 GB that caching them would take.

    Args:
        channels: Of the picture's tokens.
        heads: Number of heads.
        audio_channels: Of the audio tokens.
    """

    _default_processor_cls = AudioAttnProcessor
    _available_processors = [AudioAttnProcessor]  # noqa: RUF012 - the interface of diffusers
    _supports_qkv_fusion = False

    def __init__(self, channels: int, heads: int, audio_channels: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels)
        self.to_kv = nn.Linear(audio_channels, 2 * channels)
        self.to_out = nn.Linear(channels, channels)
        self.processor = AudioAttnProcessor()

    def forward(self, hidden_states: Tensor, audio: AudioContext, positions: Tensor | None = None) -> Tensor:
        """See ``AudioAttnProcessor``."""
        return self.processor(self, hidden_states, audio, positions)


class RegionAttnProcessor(WanAttnProcessor):
    """Self-attention that, given regions, also returns which region of the first frame each token belongs to."""

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
            Like ``hidden_states``; with regions a pair of it and the tokens' rotary positions for the audio attention:
            see ``token_positions``.
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
        """Queries, keys (both rotated) and values: (batch, tokens, heads, channels)."""
        heads = (attn.heads, -1)
        query = rotate(attn.norm_q(attn.to_q(hidden_states)).unflatten(-1, heads), *rotary_emb)
        key = rotate(attn.norm_k(attn.to_k(hidden_states)).unflatten(-1, heads), *rotary_emb)
        return query, key, attn.to_v(hidden_states).unflatten(-1, heads)


class AudioWanTransformerBlock(WanTransformerBlock):
    """A block of Wan 2.1 with an attention to the audio before its feed-forward.

    Args:
        audio_channels: Channels of the audio tokens.
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
            audio: The window's audio.

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

        # 3. Audio attention
        normed = self.norm_x(hidden_states.float()).type_as(hidden_states)
        hidden_states = hidden_states + self.audio_attn(normed, audio, positions)

        # 4. Feed-forward
        normed = (self.norm3(hidden_states.float()) * (1 + ffn_scale) + ffn_shift).type_as(hidden_states)
        out: Tensor = hidden_states.float() + self.ffn(normed).float() * ffn_gate
        return out.type_as(hidden_states)


Blocks = Callable[[Tensor], Tensor]
"""All blocks in sequence: tokens (batch, n, channels) in, the same shape out."""


class AudioWanTransformer3DModel(WanTransformer3DModel):
    """``WanTransformer3DModel`` (image to video) that is also conditioned on audio.

    Args:
        audio_window: Features around a video frame, itself in the middle.
        audio_layers: Layers of the speech model that make one feature.
        audio_channels: Channels of each.
        audio_hidden_dim: Width inside the audio projection.
        audio_tokens: Tokens per latent frame and speaker.
        audio_token_dim: Channels of a token.
        vae_scale: Video frames per latent frame.
        The other arguments are ``WanTransformer3DModel``'s; the defaults are the 14B model's.
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
        self.token_sharding: TokenSharding = UnshardedTokens()
        self.audio_proj = AudioProjection(
            audio_window, audio_layers, audio_channels, audio_hidden_dim, audio_tokens, audio_token_dim, vae_scale
        )

    def encode_audio(self, windows: Array, regions: Array | None = None) -> AudioContext:
        """Encode the audio of a window, once for all steps.

        Args:
            windows: (speakers, frames, audio_window, audio_layers, audio_channels), with 1 + 4n frames: the features of
                the speech model around each video frame (five: two before, its own, two after); see ``Tracks``.
            regions: For two speakers: masks (3, h, w) at the latents' size, above 0 inside: the first speaker's, the
                second's, the background. Not used for one speaker.

        Returns:
            The context of a batch of one.

        Raises:
            ValueError: For more than two speakers, or two without the masks of their regions and of the background.
        """
        speakers = len(windows)
        if speakers > 2 or (speakers == 2 and regions is None):
            raise ValueError(f"{speakers} speakers: the model takes one, or two with their regions")
        if speakers == 2 and regions is not None and len(regions) != CLASSES:
            raise ValueError(f"{len(regions)} regions: two speakers need {CLASSES}, theirs and the background")
        weight = self.audio_proj.proj1.weight
        tokens = self.audio_proj(as_tensor(windows).to(weight.device, weight.dtype))
        tokens = tokens.transpose(0, 1).flatten(1, 2)[None]
        if speakers == 1 or regions is None:
            return AudioContext(tokens)
        _, rows, columns = self.config.patch_size
        grid = regions.shape[1] // rows, regions.shape[2] // columns
        return AudioContext(tokens, speakers, token_masks(as_tensor(regions).to(tokens.device), *grid))

    def time_modulation(self, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """Time embedding and its projection, which depend on the timestep only.

        In float32 whatever the weights' format, as published; the base rounds both to the format. They are one row: the
        0.6 GB that the projection's weights of the 14B model take as float32 are free again before the blocks begin.

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
            audio: The window's audio; see ``encode_audio``.
            around_blocks: Called with this process's tokens and the blocks, instead of the blocks: a step cache may skip
                them.

        Returns:
            (batch, 16, frames, height, width).

        Raises:
            ValueError: When a size is not a multiple of the patch's, or the audio belongs to other sizes.
        """
        batch, _, *size = hidden_states.shape
        patch = self.config.patch_size
        if any(length % step for length, step in zip(size, patch, strict=True)):
            raise ValueError(f"latents of {size} cannot be cut into patches of {list(patch)}")
        grid = [length // step for length, step in zip(size, patch, strict=True)]
        sharding, frames = self.token_sharding, grid[0]
        if audio is not None and audio.tokens.shape[1] != frames:
            raise ValueError(f"there is audio for {audio.tokens.shape[1]} latent frames, not {frames}")
        if audio is not None and audio.regions is not None and audio.regions.shape[1] != grid[1] * grid[2]:
            raise ValueError(
                f"there are regions for {audio.regions.shape[1]} tokens of a frame, not {grid[1] * grid[2]}"
            )
        cosines, sines = self.rope(hidden_states)
        rotary = (sharding.shard(cosines, frames), sharding.shard(sines, frames))
        tokens = self.patch_embedding(hidden_states).flatten(2).transpose(1, 2).contiguous()
        tokens = sharding.shard(tokens, frames)
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
        patches = sharding.gather(self.proj_out(tokens.to(self.proj_out.weight.dtype)), frames)
        patches = patches.reshape(batch, *grid, *patch, patches.shape[-1] // math.prod(patch))
        output = patches.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)
        return Transformer2DModelOutput(sample=output) if return_dict else (output,)


def _in_float32(module: nn.Module, values: Tensor) -> Tensor:
    """Call a module as if its weights were in float32."""
    weights = {name: weight.float() for name, weight in module.named_parameters()}
    out: Tensor = functional_call(module, weights, (values.float(),))
    return out
