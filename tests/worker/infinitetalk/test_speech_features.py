"""Long tracks are heard in pieces, as if they were heard at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

from talkingvideo_worker.engines.infinitetalk.conditioning import speech_features as module
from talkingvideo_worker.engines.infinitetalk.conditioning.speech_features import speech_features

RATE = 16_000


@pytest.fixture(scope="module")
def model() -> Wav2Vec2Model:
    torch.manual_seed(2)
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    return Wav2Vec2Model(config).eval()


def voice(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    samples = np.random.default_rng(4).standard_normal(int(RATE * seconds)).astype(np.float32)
    return samples * (np.sin(np.arange(len(samples)) / 3000) > -0.3)


def test_convolving_in_blocks_changes_nothing(model: Wav2Vec2Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model.feature_extractor(module._normalised(voice(3.7))[None])
    for block in (320, 4_001, 16_000, 10**9):
        monkeypatch.setattr(module, "BLOCK", block)
        found = module._convolved(model, module._normalised(voice(3.7)))
        np.testing.assert_allclose(found, whole, rtol=0, atol=2e-5)


def test_a_track_no_longer_than_a_span_is_heard_at_once(model: Wav2Vec2Model) -> None:
    assert torch.equal(speech_features(model, voice(4), span=100), speech_features(model, voice(4)))


def test_a_span_is_the_whole_track_cut_where_the_margin_reaches_the_ends(model: Wav2Vec2Model) -> None:
    whole = speech_features(model, voice(6))
    assert torch.allclose(speech_features(model, voice(6), span=50, margin=150), whole, atol=1e-5)


def test_spans_are_near_the_whole_track_and_nearer_with_a_wider_margin(model: Wav2Vec2Model) -> None:
    whole = speech_features(model, voice(40))
    errors = []
    for margin in (0, 25, 200):
        found = speech_features(model, voice(40), span=250, margin=margin)
        assert found.shape == whole.shape
        errors.append(float((found - whole).square().mean().sqrt() / whole.std()))
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.02


def test_every_frame_has_its_feature(model: Wav2Vec2Model) -> None:
    for frames in (1, 49, 50, 51, 100, 101):
        assert speech_features(model, voice(2), frames, span=50, margin=10).shape == (frames, 2, 32)


def test_a_gain_changes_nothing(model: Wav2Vec2Model) -> None:
    loud, quiet = speech_features(model, voice(2)), speech_features(model, voice(2) * np.float32(0.1))
    assert torch.allclose(loud, quiet, atol=1e-4)
