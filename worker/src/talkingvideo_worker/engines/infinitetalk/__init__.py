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
    from talkingvideo_worker.engines.infinitetalk.building import build_transformer, load_adapter
    from talkingvideo_worker.engines.infinitetalk.guidance import Guidance, Projection
    from talkingvideo_worker.engines.infinitetalk.hearing import PublishedRun, Tracks
    from talkingvideo_worker.engines.infinitetalk.loop import Encoders, Material, Settings, render_windows
    from talkingvideo_worker.engines.infinitetalk.sampling import Condition, predict_velocity
    from talkingvideo_worker.engines.infinitetalk.schedule import distilled_timesteps, published_timesteps
    from talkingvideo_worker.engines.infinitetalk.spans import window_spans
    from talkingvideo_worker.engines.infinitetalk.step_cache import StepCache

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
    "building": ("build_transformer", "load_adapter"),
    "guidance": ("Guidance", "Projection"),
    "hearing": ("PublishedRun", "Tracks"),
    "loop": ("Encoders", "Material", "Settings", "render_windows"),
    "sampling": ("Condition", "predict_velocity"),
    "schedule": ("distilled_timesteps", "published_timesteps"),
    "spans": ("window_spans",),
    "step_cache": ("StepCache",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
