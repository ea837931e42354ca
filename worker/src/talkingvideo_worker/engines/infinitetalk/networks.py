"""What renders, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from transformers import Wav2Vec2Model

from talkingvideo_api.values import RenderValues
from talkingvideo_worker.engines.base import LoraFile, RenderInput
from talkingvideo_worker.engines.infinitetalk.loop import Denoiser, Encoders
from talkingvideo_worker.engines.infinitetalk.memory.retry import LeanerOnce
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import denoise
from talkingvideo_worker.progress import ProgressCallback


@dataclass(frozen=True)
class Networks:
    """What renders.

    Attributes:
        transformer: The model.
        encoders: The networks around it.
        denoiser: What the transformer makes latents with: alone, or with other GPUs.
        warnings: What the user should know of them.
    """

    transformer: AudioWanTransformer3DModel
    encoders: Encoders
    denoiser: Denoiser = denoise
    warnings: tuple[str, ...] = ()


class Weights(Protocol):
    """Where networks come from."""

    def digest(self, values: RenderValues) -> str:
        """Identify the weights that these values choose."""
        ...

    def speech_model(self) -> Wav2Vec2Model:
        """The model that hears, in evaluation mode."""
        ...

    def require(self) -> None:
        """Look whether everything is there, by names and headers.

        Raises:
            StageError: E_PIPELINE_LOAD with the list of what is not.
        """
        ...

    def check_loras(self, loras: Sequence[LoraFile]) -> list[str]:
        """Look whether LoRAs fit the model, by headers.

        Returns:
            Sentences about what of them is left out.

        Raises:
            StageError: E_PIPELINE_LOAD for one that does not fit; E_INPUT_VALIDATION for a name that leads to none.
        """
        ...

    def networks(self, render_input: RenderInput, frames: int, note: ProgressCallback) -> LeanerOnce[Networks]:
        """The networks that render a scene: the adapter for its number of speakers, LoRAs. Not loaded yet.

        Args:
            render_input: The scene.
            frames: About how many will be rendered: setting up faster kernels pays for long chunks only.
            note: Told of each part that is loaded.
        """
        ...
