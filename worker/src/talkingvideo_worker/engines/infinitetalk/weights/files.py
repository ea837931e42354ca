"""The published files: where they are in the folder of weights, and where on the hub they come from.

No torch: commands that only look for files start at once. The folder holds the repositories side by side under their own
names::

    Wan2.1-I2V-14B-480P/       config.json, seven shards, Wan2.1_VAE.pth, text and image encoder, their tokenizers
    InfiniteTalk/              single/infinitetalk.safetensors, multi/infinitetalk.safetensors
    chinese-wav2vec2-base/     config.json, model.safetensors
    loras/                     <name>.safetensors
"""

from __future__ import annotations

from pathlib import Path

from talkingvideo_worker.weights.location import PublishedFiles

BASE = Path("Wan2.1-I2V-14B-480P")
ADAPTERS = Path("InfiniteTalk")
SPEECH = Path("chinese-wav2vec2-base")
LORAS = Path("loras")

CONFIG = BASE / "config.json"
SHARDS = "diffusion_pytorch_model-*-of-*.safetensors"
VIDEO_CODEC = BASE / "Wan2.1_VAE.pth"
TEXT_ENCODER = BASE / "models_t5_umt5-xxl-enc-bf16.pth"
IMAGE_ENCODER = BASE / "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"
PICKLED = (VIDEO_CODEC, TEXT_ENCODER, IMAGE_ENCODER)
TOKENIZER = BASE / "google" / "umt5-xxl"
TOKENIZER_FILES = (TOKENIZER / "tokenizer.json", TOKENIZER / "tokenizer_config.json")
SPEECH_WEIGHTS = SPEECH / "model.safetensors"
SPEECH_FILES = (SPEECH / "config.json", SPEECH / "preprocessor_config.json")

PUBLISHED = (
    PublishedFiles(
        "base",
        "Wan-AI/Wan2.1-I2V-14B-480P",
        ("config.json", SHARDS, "*.pth", "google/umt5-xxl/*"),
        BASE,
    ),
    PublishedFiles("adapter", "MeiGen-AI/InfiniteTalk", ("single/infinitetalk.safetensors",), ADAPTERS),
    PublishedFiles("adapter", "MeiGen-AI/InfiniteTalk", ("multi/infinitetalk.safetensors",), ADAPTERS),
    PublishedFiles(
        "speech", "TencentGameMate/chinese-wav2vec2-base", ("config.json", "preprocessor_config.json"), SPEECH
    ),
    # The safetensors file exists only in a pull request; the main branch has a pickle.
    PublishedFiles(
        "speech", "TencentGameMate/chinese-wav2vec2-base", ("model.safetensors",), SPEECH, revision="refs/pr/1"
    ),
    PublishedFiles(
        "loras",
        "vrgamedevgirl84/Wan14BT2VFusioniX",
        ("FusionX_LoRa/Wan2.1_I2V_14B_FusionX_LoRA.safetensors",),
        LORAS,
        flat=True,
    ),
    PublishedFiles(
        "loras",
        "Kijai/WanVideo_comfy",
        ("Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32.safetensors",),
        LORAS,
        flat=True,
    ),
)
"""What ``talkingvideo weights fetch`` downloads for this engine."""


def adapter_of(speakers: int) -> Path:
    """The adapter's file: there is one for one speaker and one for two."""
    return ADAPTERS / ("single" if speakers == 1 else "multi") / "infinitetalk.safetensors"


def rendering_files(folder: Path) -> list[Path]:
    """The files that determine the pixels, as far as they exist."""
    named = [CONFIG, *PICKLED, *TOKENIZER_FILES, SPEECH_WEIGHTS, *SPEECH_FILES, adapter_of(1), adapter_of(2)]
    files = [*sorted((folder / BASE).glob(SHARDS)), *(folder / name for name in named)]
    return [path for path in files if path.is_file()]
