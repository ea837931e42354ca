"""Where the published weights come from: repositories of the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from talkingvideo_worker.engines.infinitetalk.weights.layout import ADAPTERS, BASE, LORAS, SPEECH
from talkingvideo_worker.speech.kokoro import CONFIG, MODEL, VOICES
from talkingvideo_worker.weights.location import KOKORO


class Part(StrEnum):
    """What can be fetched by itself."""

    BASE = "base"
    ADAPTER = "adapter"
    SPEECH = "speech"
    LORAS = "loras"
    KOKORO = "kokoro"


@dataclass(frozen=True)
class Source:
    """Some files of one repository.

    Attributes:
        part: What they belong to.
        repository: On the hub.
        files: Names in it, with ``*`` for any characters.
        folder: Where they go, in the folder of weights.
        revision: Branch, tag, commit or pull request.
        flat: Whether folders of the repository are left out.
    """

    part: Part
    repository: str
    files: tuple[str, ...]
    folder: Path
    revision: str = "main"
    flat: bool = False

    def wants(self, name: str) -> bool:
        """Whether a file of the repository is one of these."""
        return any(fnmatchcase(name, wanted) for wanted in self.files)

    def destination(self, name: str) -> Path:
        """Where a file of the repository goes, in the folder of weights."""
        return self.folder / (Path(name).name if self.flat else name)


SOURCES = (
    Source(
        Part.BASE,
        "Wan-AI/Wan2.1-I2V-14B-480P",
        ("config.json", "diffusion_pytorch_model-*-of-*.safetensors", "*.pth", "google/umt5-xxl/*"),
        BASE,
    ),
    Source(Part.ADAPTER, "MeiGen-AI/InfiniteTalk", ("single/infinitetalk.safetensors",), ADAPTERS),
    Source(Part.ADAPTER, "MeiGen-AI/InfiniteTalk", ("multi/infinitetalk.safetensors",), ADAPTERS),
    Source(Part.SPEECH, "TencentGameMate/chinese-wav2vec2-base", ("config.json", "preprocessor_config.json"), SPEECH),
    # Its safetensors file exists in a pull request only; the main branch has a pickle.
    Source(Part.SPEECH, "TencentGameMate/chinese-wav2vec2-base", ("model.safetensors",), SPEECH, revision="refs/pr/1"),
    Source(
        Part.LORAS,
        "vrgamedevgirl84/Wan14BT2VFusioniX",
        ("FusionX_LoRa/Wan2.1_I2V_14B_FusionX_LoRA.safetensors",),
        LORAS,
        flat=True,
    ),
    Source(
        Part.LORAS,
        "Kijai/WanVideo_comfy",
        ("Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors",),
        LORAS,
        flat=True,
    ),
    Source(Part.KOKORO, "hexgrad/Kokoro-82M", (CONFIG, MODEL, f"{VOICES}/*.pt"), KOKORO),
)
