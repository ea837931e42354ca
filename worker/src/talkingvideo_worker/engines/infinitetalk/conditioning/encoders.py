"""The networks around the transformer, from diffusers and transformers, with the preparation the model was trained with."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any, Protocol

import ftfy
import torch
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from torch import Tensor
from transformers import CLIPVisionModel, UMT5EncoderModel

from talkingvideo_worker.engines.infinitetalk.conditioning.pictures import clip_pixels
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import TEXT_TOKENS
from talkingvideo_worker.engines.infinitetalk.weights.keys import IMAGE_ENCODER, TEXT_ENCODER, rename_all


class WanVideoCodec:
    """Wan 2.1's VAE, with normalised latents.

    Args:
        vae: In evaluation mode; its encoder and its decoder may be in different formats.
    """

    def __init__(self, vae: AutoencoderKLWan) -> None:
        self._vae = vae
        self._mean = torch.tensor(vae.config.latents_mean)[:, None, None, None]
        self._deviation = torch.tensor(vae.config.latents_std)[:, None, None, None]

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """(3, 1 + 4n, height, width) in -1..1 to (16, 1 + n, height / 8, width / 8): the posterior's mean, normalised."""
        latents = self._vae.encode(video[None].to(self._vae.quant_conv.weight.dtype)).latent_dist.mode()[0].float()
        normalised: Tensor = (latents - self._mean.to(latents.device)) / self._deviation.to(latents.device)
        return normalised

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """(16, 1 + n, h, w) to (3, 1 + 4n, 8h, 8w), clamped to -1..1."""
        scaled = latents * self._deviation.to(latents.device) + self._mean.to(latents.device)
        video: Tensor = self._vae.decode(scaled[None].to(self._vae.post_quant_conv.weight.dtype)).sample[0].float()
        return video


class ClipImageEncoder:
    """CLIP's picture tower, up to its last block but one.

    Args:
        model: In evaluation mode.
    """

    def __init__(self, model: CLIPVisionModel) -> None:
        self._model = model

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """(3, height, width) in -1..1 to (257, channels)."""
        pixels = clip_pixels(image).to(self._model.device, self._model.dtype)
        features: Tensor = self._model(pixel_values=pixels[None], output_hidden_states=True).hidden_states[-2][0]
        return features.float()


class Tokenizer(Protocol):
    """A tokenizer of transformers."""

    def __call__(self, text: str, *, truncation: bool, max_length: int, return_tensors: str) -> Mapping[str, Tensor]:
        """Tokens of a text: ``input_ids`` (1, n)."""
        ...


class UmT5TextEncoder:
    """umT5's encoder.

    Args:
        model: In evaluation mode.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: UMT5EncoderModel, tokenizer: Tokenizer) -> None:
        self._model, self._tokenizer = model, tokenizer

    @torch.no_grad()
    def __call__(self, text: str) -> Tensor:
        """A prompt to (n, channels), n at most 512."""
        tokens = self._tokenizer(cleaned(text), truncation=True, max_length=TEXT_TOKENS, return_tensors="pt")
        features: Tensor = self._model(tokens["input_ids"].to(self._model.device)).last_hidden_state[0]
        return features.float()


def cleaned(prompt: str) -> str:
    """A prompt as the model's own code cleans it: broken encodings, HTML entities and white space."""
    repaired = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return re.sub(r"\s+", " ", repaired).strip()


def video_codec_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the published VAE by the names of ``AutoencoderKLWan``."""
    converted: dict[str, Tensor] = convert_wan_vae_to_diffusers(dict(weights))
    return converted


def image_encoder_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the published picture tower by the names of ``CLIPVisionModel``.

    Args:
        weights: Without the prefix ``visual.``. The projection behind the last block (``head``) is not used.
    """
    split: dict[str, Tensor] = {}
    for name, value in weights.items():
        if ".to_qkv." in name:
            parts = zip("qkv", value.chunk(3), strict=True)
            split |= {name.replace("to_qkv", letter): part for letter, part in parts}
        elif name != "head":
            split[name] = value
    split["cls_embedding"] = split["cls_embedding"].flatten()
    split["pos_embedding"] = split["pos_embedding"][0]
    return rename_all(split, IMAGE_ENCODER)


def text_encoder_weights(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Weights of the published umT5 by the names of ``UMT5EncoderModel``, which has its embedding twice."""
    renamed = rename_all(weights, TEXT_ENCODER)
    return renamed | {"encoder.embed_tokens.weight": renamed["shared.weight"]}
