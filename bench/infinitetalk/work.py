"""What a call of the transformer multiplies: matrix products and attentions by their sizes, from a window's tokens.

Pure arithmetic. The same lists give the FLOPs (2 per multiply-add) and the sizes that the microbenchmarks run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PATCH_PIXELS = 16
"""Pixels of a frame that a token covers in each direction: 8 of the VAE, times 2."""

PATCH_LATENTS = 4
"""Latents of a frame in a token: 2 x 2."""

FRAMES_PER_LATENT = 4

TEXT_TOKENS = 512
IMAGE_TOKENS = 257

ENCODE_MOTION = 47.1e6
DECODE = 689.6e6
"""FLOPs of the VAE for each pixel of a frame: 9 frames encoded, 81 frames decoded; counted by
torch's FlopCounterMode at 640x640 and 448x896. Nearly all are convolutions, so they grow with the pixels."""


@dataclass(frozen=True)
class ModelSizes:
    """Sizes of a transformer; the 14B model's unless said otherwise."""

    dim: int = 5120
    ffn: int = 13824
    heads: int = 40
    layers: int = 40
    frequencies: int = 256
    inputs: int = 36
    outputs: int = 16
    text_channels: int = 4096
    image_channels: int = 1280
    audio_hidden: int = 512
    audio_tokens: int = 32
    audio_channels: int = 768

    @property
    def config(self) -> dict[str, int | float]:
        """By the published names."""
        return {
            "dim": self.dim,
            "ffn_dim": self.ffn,
            "num_heads": self.heads,
            "num_layers": self.layers,
            "freq_dim": self.frequencies,
            "in_dim": self.inputs,
            "out_dim": self.outputs,
            "eps": 1e-6,
            "text_dim": self.text_channels,
            "image_dim": self.image_channels,
            "intermediate_dim": self.audio_hidden,
            "context_tokens": self.audio_tokens,
            "output_dim": self.audio_channels,
        }


@dataclass(frozen=True)
class WindowSize:
    """What one call works on.

    Attributes:
        height: Pixels.
        width: Pixels.
        frames: Of the video, 4n + 1.
        speakers: One or two.
    """

    height: int
    width: int
    frames: int = 81
    speakers: int = 1

    @property
    def latent_frames(self) -> int:
        """Frames after the VAE."""
        return 1 + (self.frames - 1) // FRAMES_PER_LATENT

    @property
    def frame_tokens(self) -> int:
        """Tokens of one latent frame."""
        return (self.height // PATCH_PIXELS) * (self.width // PATCH_PIXELS)

    @property
    def tokens(self) -> int:
        """Tokens of the call."""
        return self.latent_frames * self.frame_tokens

    @property
    def pixels(self) -> int:
        """Of a frame."""
        return self.height * self.width

    def __str__(self) -> str:
        """Height and width."""
        return f"{self.height}x{self.width}"


@dataclass(frozen=True)
class Gemm:
    """A linear layer.

    Attributes:
        name: Of the layers.
        rows: Tokens.
        inputs: Channels.
        outputs: Channels.
        count: How often in a call.
        quantisable: Whether 8-bit modes keep its weights in 8 bits.
    """

    name: str
    rows: int
    inputs: int
    outputs: int
    count: int = 1
    quantisable: bool = True

    @property
    def flops(self) -> int:
        """Of one."""
        return 2 * self.rows * self.inputs * self.outputs


@dataclass(frozen=True)
class Attention:
    """An attention.

    Attributes:
        name: Which.
        batch: Sequences.
        heads: Heads.
        queries: Of a sequence.
        keys: Of a sequence.
        channels: Of a head.
        value_channels: Likewise, of the values.
        count: How often in a call.
    """

    name: str
    batch: int
    heads: int
    queries: int
    keys: int
    channels: int
    value_channels: int
    count: int = 1

    @property
    def flops(self) -> int:
        """Of one."""
        return 2 * self.batch * self.heads * self.queries * self.keys * (self.channels + self.value_channels)


@dataclass(frozen=True)
class Flops:
    """Of one call, or of several."""

    quantisable: float
    other: float
    attention: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.quantisable + self.other + self.attention


@dataclass(frozen=True)
class CallWork:
    """Everything that one call multiplies."""

    gemms: Sequence[Gemm]
    attentions: Sequence[Attention]

    @property
    def flops(self) -> Flops:
        """Summed."""
        return Flops(
            quantisable=sum(gemm.count * gemm.flops for gemm in self.gemms if gemm.quantisable),
            other=sum(gemm.count * gemm.flops for gemm in self.gemms if not gemm.quantisable),
            attention=sum(attention.count * attention.flops for attention in self.attentions),
        )


def call_work(model: ModelSizes, window: WindowSize) -> CallWork:
    """What one call multiplies: a batch of one, with audio."""
    return CallWork(
        [*_block_gemms(model, window), *_outer_gemms(model, window)],
        [*_attentions(model, window), *_region_attentions(model, window)],
    )


def codec_flops(window: WindowSize) -> float:
    """What the VAE adds to each window after the first: decoding it and encoding its last frames."""
    return (DECODE + ENCODE_MOTION) * window.pixels * window.frames / 81


def _block_gemms(model: ModelSizes, window: WindowSize) -> Sequence[Gemm]:
    tokens, dim, layers = window.tokens, model.dim, model.layers
    audio_tokens = window.latent_frames * window.speakers * model.audio_tokens
    return [
        Gemm("attention's q, k, v and out; q and out of cross- and audio attention", tokens, dim, dim, 8 * layers),
        Gemm("feed-forward, up", tokens, dim, model.ffn, layers),
        Gemm("feed-forward, down", tokens, model.ffn, dim, layers),
        Gemm("k and v of the text", TEXT_TOKENS, dim, dim, 2 * layers),
        Gemm("k and v of the picture", IMAGE_TOKENS, dim, dim, 2 * layers),
        Gemm("k and v of the audio", audio_tokens, model.audio_channels, 2 * dim, layers),
    ]


def _outer_gemms(model: ModelSizes, window: WindowSize) -> Sequence[Gemm]:
    tokens, dim, image = window.tokens, model.dim, model.image_channels
    sizes = {
        "patches in": (tokens, PATCH_LATENTS * model.inputs, dim),
        "patches out": (tokens, dim, PATCH_LATENTS * model.outputs),
        "text, first": (TEXT_TOKENS, model.text_channels, dim),
        "text, second": (TEXT_TOKENS, dim, dim),
        "picture, first": (IMAGE_TOKENS, image, image),
        "picture, second": (IMAGE_TOKENS, image, dim),
        "time, first": (1, model.frequencies, dim),
        "time, second": (1, dim, dim),
        "time, third": (1, dim, 6 * dim),
    }
    return [Gemm(name, *size, quantisable=False) for name, size in sizes.items()]


def _attentions(model: ModelSizes, window: WindowSize) -> Sequence[Attention]:
    tokens, channels = window.tokens, model.dim // model.heads
    audio_tokens = window.speakers * model.audio_tokens
    sizes = {
        "self-attention": (1, tokens, tokens),
        "to the text": (1, tokens, TEXT_TOKENS),
        "to the picture": (1, tokens, IMAGE_TOKENS),
        "to the audio": (window.latent_frames, window.frame_tokens, audio_tokens),
    }
    return [
        Attention(name, batch, model.heads, queries, keys, channels, channels, model.layers)
        for name, (batch, queries, keys) in sizes.items()
    ]


def _region_attentions(model: ModelSizes, window: WindowSize) -> Sequence[Attention]:
    """With two speakers each token is asked which region of the first latent frame it looks at."""
    if window.speakers == 1:
        return []
    channels = model.dim // model.heads
    sizes = (1, model.heads, window.tokens, window.frame_tokens, channels, channels)
    return [Attention("to the regions", *sizes, model.layers)]
