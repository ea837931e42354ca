"""The window of features around each frame, and how features are made of long tracks."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from tests.worker.infinitetalk.conftest import track
from tests.worker.infinitetalk.whole_model import speech_features
from transformers import Wav2Vec2Config, Wav2Vec2Model

from talkingvideo_worker.engines.infinitetalk import Tracks
from talkingvideo_worker.engines.infinitetalk.conditioning import audio as module


def test_a_frames_window_has_two_features_on_each_side() -> None:
    windows = Tracks([track(100), track(100, 1000)]).windows(10, 3)
    assert windows.shape == (2, 3, 5, 1, 1)
    assert windows[0, :, :, 0, 0].tolist() == [[8, 9, 10, 11, 12], [9, 10, 11, 12, 13], [10, 11, 12, 13, 14]]
    assert (windows[1] == windows[0] + 1000).all()


def test_outside_a_track_is_its_first_or_last_feature() -> None:
    tracks = Tracks([track(4)])
    assert tracks.windows(0, 1)[0, 0, :, 0, 0].tolist() == [0, 0, 0, 1, 2]
    assert tracks.windows(9, 1)[0, 0, :, 0, 0].tolist() == [3] * 5


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
    whole = model.feature_extractor(module._normalise(voice(3.7))[None])
    for block in (320, 4_001, 16_000, 10**9):
        monkeypatch.setattr(module, "BLOCK", block)
        found = module._convolve(model, module._normalise(voice(3.7)))
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


@pytest.mark.parametrize("level", [0, 1000])
def test_silence_is_heard_as_numbers(model: Wav2Vec2Model, level: int) -> None:
    features = speech_features(model, np.full(RATE, level, np.int16))
    assert features.shape == (25, 2, 32)
    assert features.isfinite().all()


def test_whole_numbers_are_heard_as_the_sound_they_stand_for(model: Wav2Vec2Model) -> None:
    """Noise of one bit is not brought to the level of speech: the published variance floor is that of -1..1."""
    bits = np.random.default_rng(1).integers(-1, 2, RATE).astype(np.int16)
    assert module._normalise(bits).std() < 0.1
    for samples in (bits, (voice(1) * 9000).astype(np.int16)):
        sound = samples.astype(np.float32) / 32768
        assert torch.allclose(speech_features(model, samples), speech_features(model, sound), atol=1e-4)


@pytest.mark.parametrize("samples", [0, 1, 399, 639])
def test_a_track_shorter_than_one_feature_is_refused_in_words(model: Wav2Vec2Model, samples: int) -> None:
    with pytest.raises(ValueError, match=f"{samples} samples"):
        speech_features(model, np.zeros(samples, np.float32))


def test_the_shortest_track_has_one_feature(model: Wav2Vec2Model) -> None:
    assert speech_features(model, voice(0.04)).shape == (1, 2, 32)


def test_silence_after_a_track_does_not_change_its_features(model: Wav2Vec2Model) -> None:
    """Counted, half a clip of silence would raise the speech before it by 40 %."""
    whole = speech_features(model, voice(2))
    followed = speech_features(model, voice(2), silence=2 * RATE)
    assert followed.shape == (100, 2, 32)
    counted = speech_features(model, np.concatenate([voice(2), np.zeros(2 * RATE, np.float32)]))
    near, far = ((other[:40] - whole[:40]).square().mean().sqrt() / whole.std() for other in (followed, counted))
    assert near < 0.1
    assert near < far / 2


def test_encoding_takes_little_more_memory_than_the_track(model: Wav2Vec2Model) -> None:
    samples = np.zeros(RATE * 120, np.int16)
    samples[::7] = 5000
    module._normalise(samples[:RATE])
    tracemalloc.start()
    try:
        module._normalise(samples)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(samples)
