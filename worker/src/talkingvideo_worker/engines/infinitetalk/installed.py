"""The engine as it is installed: with the weights of this machine, or of the pod's volume."""

from __future__ import annotations

from transformers.utils.logging import disable_progress_bar

from talkingvideo_worker.engines.infinitetalk.engine import InfiniteTalkEngine
from talkingvideo_worker.engines.infinitetalk.weights.folder import WeightsFolder
from talkingvideo_worker.weights.location import weights_location


def make() -> InfiniteTalkEngine:
    """The engine, with the weights at ``weights_location``; transformers draws no bars of its own."""
    disable_progress_bar()
    return InfiniteTalkEngine(WeightsFolder(weights_location()))
