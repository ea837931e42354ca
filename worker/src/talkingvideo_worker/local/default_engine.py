"""Which engine renders here when nobody says."""

from __future__ import annotations

from importlib.util import find_spec

from talkingvideo_api.effective import PREVIEW
from talkingvideo_api.profile import INFINITETALK
from talkingvideo_worker.engines.infinitetalk.weights.layout import CONFIG
from talkingvideo_worker.weights_location import weights_location


def default_engine() -> str:
    """The real one where CUDA and weights are there, else the preview.

    Weights are looked for first: importing torch takes seconds, which a machine without them need not wait for.
    """
    return INFINITETALK if (weights_location() / CONFIG).is_file() and _has_cuda() else PREVIEW


def _has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()
