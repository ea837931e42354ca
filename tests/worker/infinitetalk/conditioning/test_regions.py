"""Masks of speakers."""

from __future__ import annotations

from tests.worker.infinitetalk.parity.published import speaker_masks

from talkingvideo_worker.engines.infinitetalk.conditioning.regions import halves, latent_masks


def test_speakers_and_background_partition_the_picture() -> None:
    masks = speaker_masks(halves(100, 160), 100, 160)
    assert (masks.sum(0) == 1).all()
    assert masks[0, 50, 40]
    assert masks[1, 50, 120]
    assert masks[2, 50, 80]
    assert latent_masks(masks).shape == (3, 12, 20)
