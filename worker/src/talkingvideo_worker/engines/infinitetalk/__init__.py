"""InfiniteTalk: video driven by speech, by Wan 2.1 I2V 14B with an audio adapter.

Three functions are the numerical core. They work with models of any size:

- ``build_transformer(config, weights)`` makes the transformer from a published configuration and state dict;
- ``predict_velocity(transformer, latents, timestep, condition)`` calls it once;
- ``render_windows(transformer, encoders, settings, material, spans)`` is the streaming loop, with encoders and noise
  (``Material.noise(window, shape)``) supplied by the caller.

Arrays may be numpy's or torch's, of any float type, and have no batch dimension. Configuration and weights have Wan 2.1's
and InfiniteTalk's own names; the dtype of the weights is the model's. One prediction::

    transformer = build_transformer(config, weights)
    # windows: (speakers, 1 + 4n, 5, layers, channels), regions: (3, h, w) for two speakers, else None
    audio = transformer.encode_audio(windows, regions)
    # The branches without audio have one track of zeros, for two speakers as well.
    silence = transformer.encode_audio(0 * windows[:1])
    # reference: (20, 1 + n, h, w), image: (257, channels), text: (tokens, channels), not padded
    condition = Condition(reference=reference, image=image, text=text, audio=audio)
    velocity = predict_velocity(transformer, latents, timestep, condition)

A whole run. ``audio`` is ``Tracks`` of the features of each speaker, (frames, 12, 768), or any object whose
``windows(start, frames)`` returns (speakers, frames, 5, 12, 768): for each frame the features of the frame itself and of
two frames on each side. ``lengths`` are the new frames of each window: 81, then 72 for each further window, which shares its
first 9 frames (``motion``) with the previous one. A window's reference picture is asked for by the number of its first
frame. ``projection`` is ``Projection()`` for adaptive projected guidance or None; ``step_cache`` is
``StepCache(threshold)``, for 720p with the calibration ``sampling.step_cache.PROJECTION_720``, or None. ::

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
    # picture(frame): (3, height, width) in -1..1; noise(window, shape): standard normal numbers
    material = Material(reference=picture, audio=audio, noise=noise, regions=regions)
    # codec.encode(video), codec.decode(latents); encode_image(picture); encode_text(prompt): see Encoders
    encoders = Encoders(video=codec, image=encode_image, text=encode_text)
    spans = window_spans(0, lengths, motion=9)
    windows = list(render_windows(transformer, encoders, settings, material, spans))
    video = torch.cat([window.frames for window in windows], 1)[:, :frames]

From a picture of the rendered size, (height, width, 3) in 8 bits, and masks of the first speaker, the second and the
background, (3, height, width) bool, both multiples of 16::

    picture = to_tensor(pixels)
    regions = latent_masks(masks)

``to_tensor`` is in ``conditioning.image``, ``latent_masks`` in ``conditioning.regions``.

How the published code plans a whole run is not part of the engine, which plans chunks. A harness that compares with it
supplies these itself; ``tests/worker/infinitetalk/parity/published.py`` and ``published_sound.py`` have all of them:

- ``audio``, ``lengths`` and ``frames`` (``PublishedRun``): windows start at frames 0, 72, 144, …; the last one is the first
  whose end, its start plus 81, reaches the smaller one of ``max_frames`` and the length of the first track. Up to 81 frames
  there is one window (the published "clip" is ``max_frames=81``). In the last of several windows a track that is not longer
  than the window's end is extended by its own end, reversed, 3 features beyond it; the video then ends with the last
  speaker's track.
- ``noise`` (``PublishedNoise``): one stream of torch's generator for all windows.
- The sizing of pictures and masks (``covering``, ``covering_masks``), boxes as masks (``speaker_masks``), loudness and the
  arrangement of two tracks.

At an audio scale of 1 the model is called less often than by the published code: branches that cancel out are omitted.

Each window also has its final ``latents``, and the ``motion`` latents with which ``render_windows`` can continue in another
process.

Names are imported on first use: torch takes seconds to import, and most commands do not need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talkingvideo_worker.engines.infinitetalk.conditioning.audio import Tracks
    from talkingvideo_worker.engines.infinitetalk.pipeline import (
        Encoders,
        Material,
        RenderedWindow,
        WindowSpan,
        render_windows,
        window_spans,
    )
    from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, predict_velocity
    from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Guidance, Projection
    from talkingvideo_worker.engines.infinitetalk.sampling.schedule import distilled_timesteps, published_timesteps
    from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import StepCache
    from talkingvideo_worker.engines.infinitetalk.settings import Settings
    from talkingvideo_worker.engines.infinitetalk.weights.transformer import build_transformer

__all__ = [
    "Condition",
    "Encoders",
    "Guidance",
    "Material",
    "Projection",
    "RenderedWindow",
    "Settings",
    "StepCache",
    "Tracks",
    "WindowSpan",
    "build_transformer",
    "distilled_timesteps",
    "predict_velocity",
    "published_timesteps",
    "render_windows",
    "window_spans",
]

_MODULES = {
    "conditioning.audio": ("Tracks",),
    "pipeline": ("Encoders", "Material", "RenderedWindow", "WindowSpan", "render_windows", "window_spans"),
    "sampling.denoising": ("Condition", "predict_velocity"),
    "sampling.guidance": ("Guidance", "Projection"),
    "sampling.schedule": ("distilled_timesteps", "published_timesteps"),
    "sampling.step_cache": ("StepCache",),
    "settings": ("Settings",),
    "weights.transformer": ("build_transformer",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
