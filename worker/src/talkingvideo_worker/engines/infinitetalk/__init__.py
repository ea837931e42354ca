"""InfiniteTalk: video driven by speech, by Wan 2.1 I2V 14B with an audio adapter.

Three functions are the numerical core, usable with models of any size:

- ``build_transformer(config, weights)`` makes the transformer from a published configuration and state dict;
- ``predict_velocity(transformer, latents, timestep, condition)`` calls it once;
- ``render_windows(transformer, encoders, settings, material, spans)`` is the streaming loop, with encoders and noise
  (``Material.noise(window, shape)``) as given.

Arrays may be numpy's or torch's, of any float type, and have no batch dimension. Configuration and weights have Wan 2.1's
and InfiniteTalk's own names; the dtype of the weights is the model's. One prediction::

    transformer = build_transformer(config, weights)
    # windows: (speakers, 1 + 4n, 5, layers, channels), regions: (3, h, w) for two speakers, else None
    heard = transformer.hear(windows, regions)
    # The branches without sound hear one track of zeros, also with two speakers.
    silence = transformer.hear(0 * windows[:1])
    # reference: (20, 1 + n, h, w), image: (257, channels), text: (tokens, channels), not padded
    condition = Condition(reference=reference, image=image, text=text, audio=heard)
    velocity = predict_velocity(transformer, latents, timestep, condition)

A whole run as the published code plans it: ``tracks`` are (frames, 12, 768) of each speaker. The video is as long
as the tracks, or ``max_frames`` (the published "clip" is ``max_frames=81``). Motion frames are ``motion``, and
a frame's picture is asked for by the number of the window's first frame. ``projection`` is ``Projection()`` for adaptive
projected guidance or None; ``step_cache`` is ``StepCache(threshold)``, for 720p with the calibration
``sampling.step_cache.PROJECTION_720``, or None. ::

    hearing = PublishedRun(tracks, max_frames=max_frames, window=81, motion=9)
    settings = Settings(
        timesteps=published_timesteps(steps, shift),
        guidance=Guidance(text_scale, audio_scale, projection),
        prompt=prompt,
        negative_prompt=negative_prompt,
        step_cache=step_cache,
        colour_correction=1.0,
        window=81,
        motion=9,
    )
    # picture(frame): (3, height, width) in -1..1; noise(window, shape): normal numbers
    material = Material(reference=picture, hearing=hearing, noise=noise, regions=regions)
    # codec.encode(video), codec.decode(latents); see(picture); read(prompt): see Encoders
    encoders = Encoders(video=codec, image=see, text=read)
    spans = window_spans(0, hearing.window_lengths, motion=9)
    windows = list(render_windows(transformer, encoders, settings, material, spans))
    video = torch.cat([window.frames for window in windows], 1)[:, : hearing.frames]

``conditioning.pictures`` has the published sizing. Of a source picture (rows, columns, 3), 8 bits, and two speakers' boxes
(top, left, bottom, right) in its pixels, or ``halves(rows, columns)``::

    picture = to_tensor(covering(source, height, width))
    masks = speaker_masks(boxes, rows, columns)
    regions = latent_masks(covering_masks(masks, height, width))

At an audio scale of 1 the model is called less often than by the published code: the branches that cancel out are left away.

Each window also gives its final ``latents`` and the ``motion`` latents with which ``render_windows`` goes on elsewhere.

Names are imported when they are asked for: torch takes seconds, and most commands need none of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkingvideo_worker.engines.infinitetalk.conditioning.hearing import PublishedRun, Tracks
    from talkingvideo_worker.engines.infinitetalk.loop import (
        Encoders,
        Material,
        RenderedWindow,
        Settings,
        render_windows,
    )
    from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, predict_velocity
    from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Guidance, Projection
    from talkingvideo_worker.engines.infinitetalk.sampling.schedule import distilled_timesteps, published_timesteps
    from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import StepCache
    from talkingvideo_worker.engines.infinitetalk.spans import WindowSpan, window_spans
    from talkingvideo_worker.engines.infinitetalk.weights.building import build_transformer, load_adapter

__all__ = [
    "Condition",
    "Encoders",
    "Guidance",
    "Material",
    "Projection",
    "PublishedRun",
    "RenderedWindow",
    "Settings",
    "StepCache",
    "Tracks",
    "WindowSpan",
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
    "loop": ("Encoders", "Material", "RenderedWindow", "Settings", "render_windows"),
    "sampling.denoising": ("Condition", "predict_velocity"),
    "sampling.schedule": ("distilled_timesteps", "published_timesteps"),
    "spans": ("WindowSpan", "window_spans"),
    "sampling.step_cache": ("StepCache",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
