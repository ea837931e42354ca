"""The attention from the picture to the sound, and what it hears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import dispatch_attention_fn
from torch import Tensor, nn

from talkingvideo_worker.engines.infinitetalk.model.rotary import frequencies, rotate
from talkingvideo_worker.engines.infinitetalk.model.routing import key_positions


@dataclass(frozen=True)
class AudioContext:
    """What a window hears; the same in all steps and blocks.

    Attributes:
        tokens: (batch, latent frames, speakers * n, channels), the first speaker's first.
        speakers: One, or two with ``regions``.
        regions: (3, tokens of a latent frame), 0 or 1: the first speaker's, the second's, nobody's. None for one speaker.
    """

    tokens: Tensor
    speakers: int = 1
    regions: Tensor | None = None


class AudioAttnProcessor:
    """Attention of each latent frame to its own tokens of sound.

    With positions, queries and keys are turned by them, which tells the speakers apart.
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
            audio: What is heard.
            positions: (batch, tokens), for two speakers only.

        Returns:
            Like ``hidden_states``.
        """
        batch, frames, heard, _ = audio.tokens.shape
        query = attn.to_q(hidden_states).unflatten(-1, (attn.heads, -1))
        keys_values = attn.to_kv(audio.tokens).flatten(0, 1)
        key, value = (part.unflatten(-1, (attn.heads, -1)) for part in keys_values.chunk(2, -1))
        if positions is not None:
            channels = query.shape[-1]
            query = rotate(query, *(part[:, :, None] for part in frequencies(positions, channels)))
            places = key_positions(heard // audio.speakers, key.device)
            key = rotate(key, *(part[:, None] for part in frequencies(places, channels)))
        query = query.unflatten(1, (frames, -1)).flatten(0, 1)
        out = dispatch_attention_fn(query, key, value, backend=self._attention_backend)
        out = out.flatten(2, 3).unflatten(0, (batch, frames)).flatten(1, 2)
        attended: Tensor = attn.to_out(out.type_as(hidden_states))
        return attended


class AudioAttention(nn.Module, AttentionModuleMixin):
    """Weights of one block's attention to the sound.

    Keys and values are calculated in every call: for 21 latent frames of 32 tokens they are 0.02 % of the model's
    arithmetic, less than the 0.5 GB is worth that keeping them would take.

    Args:
        channels: Of the picture's tokens.
        heads: Number of heads.
        audio_channels: Of the sound's tokens.
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
