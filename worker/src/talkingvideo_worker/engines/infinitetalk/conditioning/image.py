"""Pictures: as tensors, through CLIP's image encoder, and through the VAE to latents and back."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from torch import Tensor
from transformers import CLIPVisionModel

from talkingvideo_worker.units import Frame

CLIP_SIZE = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def to_tensor(picture: Frame) -> Tensor:
    """(height, width, 3) in 0..255 to (3, height, width) in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float() / 255 * 2 - 1


def clip_pixels(image: Tensor) -> Tensor:
    """The input of CLIP's image encoder: squeezed into a square, neither cropped nor antialiased.

    Args:
        image: (3, height, width) in -1..1.

    Returns:
        (3, 224, 224), normalised.
    """
    square = F.interpolate(image[None], size=(CLIP_SIZE, CLIP_SIZE), mode="bicubic", align_corners=False)[0]
    mean = image.new_tensor(CLIP_MEAN)[:, None, None]
    deviation = image.new_tensor(CLIP_DEVIATION)[:, None, None]
    return (square * 0.5 + 0.5 - mean) / deviation


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
    """CLIP's image encoder up to its last block but one.

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
