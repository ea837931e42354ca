"""Video codec, picture, text and speech encoders against the published ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from tests.worker.infinitetalk.parity import frozen
from tests.worker.infinitetalk.parity.conftest import read_recording
from tests.worker.infinitetalk.parity.summaries import assert_matches_summary
from tests.worker.infinitetalk.whole_model import speech_features
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel, Wav2Vec2Config, Wav2Vec2Model

from talkingvideo_worker.engines.infinitetalk.conditioning.image import ClipImageEncoder, WanVideoCodec, clip_pixels
from talkingvideo_worker.engines.infinitetalk.conditioning.text import UmT5TextEncoder
from talkingvideo_worker.engines.infinitetalk.weights.keys import (
    image_encoder_weights,
    text_encoder_weights,
    video_codec_weights,
)

RECORD, ARRAYS = read_recording("aux")
TOLERANCE = 1e-4


def weights_of(spec: dict[str, Any], shapes: dict[str, Any]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in frozen.state_dict(spec["set"], shapes).items()}


@pytest.fixture(scope="module")
def codec() -> WanVideoCodec:
    config = {"base_dim" if name == "dim" else name: value for name, value in frozen.VAE["config"].items()}
    vae = AutoencoderKLWan(**config)
    vae.load_state_dict(video_codec_weights(weights_of(frozen.VAE, RECORD["vae"]["weights"])))
    return WanVideoCodec(vae.eval())


def test_video_becomes_the_published_latents(codec: WanVideoCodec) -> None:
    video = torch.from_numpy(frozen.vae_input(frozen.VAE))
    np.testing.assert_allclose(codec.encode(video), ARRAYS["vae.latents"], rtol=0, atol=TOLERANCE)
    assert_matches_summary(codec.encode(video), RECORD["vae"]["latents"], TOLERANCE)
    first = codec.encode(video[:, :1])
    np.testing.assert_allclose(first, ARRAYS["vae.latents_first_frame_only"], rtol=0, atol=TOLERANCE)


def test_latents_become_the_published_video_clamped(codec: WanVideoCodec) -> None:
    latents = torch.from_numpy(frozen.normal(frozen.VAE["set"], "input/z", ARRAYS["vae.latents"].shape))
    recorded = ARRAYS["vae.decoded"].clip(-1, 1)
    np.testing.assert_allclose(codec.decode(latents), recorded, rtol=0, atol=TOLERANCE)


def test_images_are_encoded_as_published() -> None:
    spec = frozen.CLIP["config"]
    config = CLIPVisionConfig(
        hidden_size=spec["dim"],
        intermediate_size=spec["dim"] * spec["mlp_ratio"],
        num_hidden_layers=spec["num_layers"],
        num_attention_heads=spec["num_heads"],
        image_size=spec["image_size"],
        patch_size=spec["patch_size"],
        hidden_act="gelu",
    )
    model = CLIPVisionModel(config)
    model.load_state_dict(image_encoder_weights(weights_of(frozen.CLIP, RECORD["clip"]["weights"])))
    image = torch.from_numpy(frozen.clip_input(frozen.CLIP))
    np.testing.assert_allclose(clip_pixels(image)[:, ::7, ::7], ARRAYS["clip.pixels"], rtol=0, atol=TOLERANCE)
    assert_matches_summary(clip_pixels(image), RECORD["clip"]["pixels"], TOLERANCE)
    features = ClipImageEncoder(model.eval())(image)
    np.testing.assert_allclose(features, ARRAYS["clip.hidden"], rtol=0, atol=TOLERANCE)
    assert_matches_summary(features, RECORD["clip"]["hidden"], TOLERANCE)


@pytest.mark.parametrize(("row", "recorded"), [(0, "t5.out_row0_valid"), (1, "t5.out_row1")])
def test_prompts_are_encoded_as_published(row: int, recorded: str) -> None:
    spec = frozen.T5["config"]
    config = UMT5Config(
        vocab_size=spec["vocab"],
        d_model=spec["dim"],
        d_kv=spec["dim_attn"] // spec["num_heads"],
        d_ff=spec["dim_ffn"],
        num_heads=spec["num_heads"],
        num_layers=spec["num_layers"],
        relative_attention_num_buckets=spec["num_buckets"],
        feed_forward_proj="gated-gelu",
    )
    model = UMT5EncoderModel(config)
    model.load_state_dict(text_encoder_weights(weights_of(frozen.T5, RECORD["t5"]["weights"])))
    ids, mask = frozen.t5_input(frozen.T5)
    assert ids.tolist() == RECORD["t5"]["ids"]

    def tokenizer(text: str, **_options: Any) -> dict[str, Tensor]:
        return {"input_ids": torch.from_numpy(ids[row : row + 1, : mask[row].sum()])}

    features = UmT5TextEncoder(model.eval(), tokenizer)("anything")
    np.testing.assert_allclose(features, ARRAYS[recorded], rtol=0, atol=TOLERANCE)
    if recorded == "t5.out_row1":
        assert_matches_summary(features, RECORD["t5"]["out"], TOLERANCE)


SPEECH_RECORD, SPEECH_ARRAYS = read_recording("wav2vec")


@pytest.fixture(scope="module")
def speech_model() -> Wav2Vec2Model:
    model = Wav2Vec2Model(Wav2Vec2Config(**frozen.WAV["config"]))
    model.load_state_dict(weights_of(frozen.WAV, SPEECH_RECORD["weights"]))
    return model.eval()


@pytest.mark.parametrize("samples", frozen.WAV["lengths"])
def test_audio_is_encoded_as_published(speech_model: Wav2Vec2Model, samples: int) -> None:
    features = speech_features(speech_model, frozen.wav_audio(frozen.WAV, samples))
    np.testing.assert_allclose(features, SPEECH_ARRAYS[f"embedding.{samples}"], rtol=0, atol=TOLERANCE)
