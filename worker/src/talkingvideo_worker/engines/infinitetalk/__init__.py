"""InfiniteTalk: video driven by speech, by Wan 2.1 I2V 14B with an audio adapter.

Three functions are the numerical core, usable with models of any size:

- ``build_transformer(config, weights)`` makes the transformer from a published configuration and state dict;
- ``predict_velocity(transformer, latents, timestep, condition)`` calls it once;
- ``render_windows(transformer, encoders, settings, material, spans)`` is the streaming loop, with encoders and noise
  (``Material.noise(window, shape)``) as given.

Names are imported when they are asked for: torch takes seconds, and most commands need none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkingvideo_worker.engines.infinitetalk.conditioning.hearing import PublishedRun, Tracks
    from talkingvideo_worker.engines.infinitetalk.loop import Encoders, Material, Settings, render_windows
    from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, predict_velocity
    from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Guidance, Projection
    from talkingvideo_worker.engines.infinitetalk.sampling.schedule import distilled_timesteps, published_timesteps
    from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import StepCache
    from talkingvideo_worker.engines.infinitetalk.spans import window_spans
    from talkingvideo_worker.engines.infinitetalk.weights.building import build_transformer, load_adapter

__all__ = [
    "Condition",
    "Encoders",
    "Guidance",
    "Material",
    "Projection",
    "PublishedRun",
    "Settings",
    "StepCache",
    "Tracks",
    "build_transformer",
    "distilled_timesteps",
    "load_adapter",
    "predict_velocity",
    "published_timesteps",
    "render_windows",
    "window_spans",
]

_MODULES = {
    "weights.building": ("build_transformer", "load_adapter"),
    "sampling.guidance": ("Guidance", "Projection"),
    "conditioning.hearing": ("PublishedRun", "Tracks"),
    "loop": ("Encoders", "Material", "Settings", "render_windows"),
    "sampling.denoising": ("Condition", "predict_velocity"),
    "sampling.schedule": ("distilled_timesteps", "published_timesteps"),
    "spans": ("window_spans",),
    "sampling.step_cache": ("StepCache",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
