"""Every request body that the documents of the two workers with examples print, in their order, and what it asks for here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SITE = "https://example.com"


@dataclass(frozen=True)
class Printed:
    """A printed request.

    Attributes:
        title: What its document calls it.
        body: The body.
        spec: What the resource's spec has to contain, field by field.
        warnings: What a warning has to contain, one each.
    """

    title: str
    body: dict[str, Any]
    spec: dict[str, Any]
    warnings: tuple[str, ...] = field(default=())


def _urls(title: str, given: dict[str, Any], spec: dict[str, Any]) -> Printed:
    return Printed(title, {"input": given}, spec)


def _uri(path: str) -> dict[str, str]:
    return {"uri": f"{SITE}/{path}"}


def _audio(*paths: str) -> dict[str, Any]:
    return {"speakers": [{"audio": _uri(path)} for path in paths]}


URLS = [
    _urls(
        "I2V single",
        {
            "input_type": "image",
            "person_count": "single",
            "prompt": "A person is talking in a natural way.",
            "image_url": f"{SITE}/portrait.jpg",
            "wav_url": f"{SITE}/audio.wav",
            "aspect_ratio": "9:16",
            "resolution": "480p",
        },
        {
            "source": {"image": _uri("portrait.jpg")},
            "speech": _audio("audio.wav"),
            "prompt": "A person is talking in a natural way.",
            "video": {"resolution": "480p", "width": 480, "height": 854},
        },
    ),
    _urls(
        "I2V multi",
        {
            "input_type": "image",
            "person_count": "multi",
            "prompt": "Two people having a conversation.",
            "image_url": f"{SITE}/portrait.jpg",
            "wav_url": f"{SITE}/audio1.wav",
            "wav_url_2": f"{SITE}/audio2.wav",
            "aspect_ratio": "16:9",
            "resolution": "720p",
        },
        {
            "source": {"image": _uri("portrait.jpg")},
            "speech": _audio("audio1.wav", "audio2.wav"),
            "video": {"resolution": "720p", "width": 1280, "height": 720},
        },
    ),
    _urls(
        "V2V single",
        {
            "input_type": "video",
            "person_count": "single",
            "prompt": "A person is talking in a natural way.",
            "video_url": f"{SITE}/input_video.mp4",
            "wav_url": f"{SITE}/audio.wav",
            "aspect_ratio": "16:9",
            "resolution": "480p",
        },
        {
            "source": {"video": _uri("input_video.mp4")},
            "speech": _audio("audio.wav"),
            "video": {"resolution": "480p", "width": 854, "height": 480},
        },
    ),
    _urls(
        "V2V multi",
        {
            "input_type": "video",
            "person_count": "multi",
            "prompt": "Two people talking in a video.",
            "video_url": f"{SITE}/input_video.mp4",
            "wav_url": f"{SITE}/audio1.wav",
            "wav_url_2": f"{SITE}/audio2.wav",
            "aspect_ratio": "16:9",
            "resolution": "720p",
        },
        {
            "source": {"video": _uri("input_video.mp4")},
            "speech": _audio("audio1.wav", "audio2.wav"),
            "video": {"resolution": "720p", "width": 1280, "height": 720},
        },
    ),
]

JOBS_FOLDER = "{namespace}/infinitetalk/jobs/{name}-{revision}"
TO_S3 = {"store": "s3", "prefix": "infinitetalk/jobs"}

CONDITIONS = [
    Printed(
        "Single image, single speaker",
        {
            "input": {
                "prompt": "A woman sings in a studio",
                "cond_video": f"{SITE}/media/image.jpg",
                "cond_audio": {"person1": f"{SITE}/audio/voice.wav"},
                "size": "infinitetalk-480",
                "mode": "clip",
                "frame_num": 81,
                "sample_steps": 8,
                "sample_text_guide_scale": 1.0,
                "sample_audio_guide_scale": 2.0,
                "motion_frame": 9,
                "base_seed": 42,
                "output_config": TO_S3,
            }
        },
        {
            "source": {"image": _uri("media/image.jpg")},
            "speech": _audio("audio/voice.wav"),
            "prompt": "A woman sings in a studio",
            "video": {"resolution": "480p"},
            "render": {
                "mode": "Clip",
                "windowFrames": 81,
                "motionFrames": 9,
                "steps": 8,
                "textGuidance": 1.0,
                "audioGuidance": 2.0,
                "seed": 42,
            },
            "output": {"name": JOBS_FOLDER},
        },
    ),
    Printed(
        "Dubbing, single speaker",
        {
            "input": {
                "prompt": "A person speaking to camera",
                "cond_video": f"{SITE}/media/input.mp4",
                "cond_audio": {"person1": f"{SITE}/audio/clean.wav"},
                "size": "infinitetalk-480",
                "mode": "clip",
                "frame_num": 81,
                "sample_steps": 12,
                "motion_frame": 9,
                "sample_text_guide_scale": 1.0,
                "sample_audio_guide_scale": 2.0,
                "output_config": TO_S3,
            }
        },
        {"source": {"video": _uri("media/input.mp4")}, "speech": _audio("audio/clean.wav")},
    ),
    Printed(
        "Two speakers at once",
        {
            "input": {
                "prompt": "Two people talking in a studio",
                "cond_video": f"{SITE}/media/duo.jpg",
                "cond_audio": {"person1": f"{SITE}/audio/s1.wav", "person2": f"{SITE}/audio/s2.wav"},
                "audio_type": "para",
                "size": "infinitetalk-480",
                "mode": "clip",
                "frame_num": 81,
                "sample_steps": 10,
                "sample_text_guide_scale": 1.0,
                "sample_audio_guide_scale": 2.0,
                "output_config": TO_S3,
            }
        },
        {"speech": {**_audio("audio/s1.wav", "audio/s2.wav"), "arrangement": "Parallel"}},
    ),
    Printed(
        "A text",
        {
            "input": {
                "prompt": "A podcast host speaking",
                "cond_video": f"{SITE}/media/host.jpg",
                "tts_audio": {
                    "text": "Welcome to our show. Today we discuss emerging AI video.",
                    "human1_voice": "weights/Kokoro-82M/voices/am_adam.pt",
                },
                "size": "infinitetalk-480",
                "mode": "clip",
                "frame_num": 81,
                "sample_steps": 8,
                "output_config": TO_S3,
            }
        },
        {
            "speech": {
                "speakers": [{"text": "Welcome to our show. Today we discuss emerging AI video.", "voice": "am_adam"}]
            }
        },
        ("'weights/Kokoro-82M/voices/am_adam.pt' was changed to 'am_adam'",),
    ),
    Printed(
        "Long video",
        {
            "input": {
                "prompt": "A newsroom anchor delivering headlines",
                "cond_video": f"{SITE}/media/anchor.mp4",
                "cond_audio": {"person1": f"{SITE}/audio/anchor_long.wav"},
                "size": "infinitetalk-720",
                "mode": "streaming",
                "frame_num": 81,
                "max_frame_num": 1000,
                "motion_frame": 11,
                "sample_steps": 40,
                "use_teacache": True,
                "teacache_thresh": 0.2,
                "use_apg": True,
                "apg_momentum": -0.75,
                "apg_norm_threshold": 55,
                "num_persistent_param_in_dit": 0,
                "output_config": {"store": "s3", "prefix": "infinitetalk/stream"},
            },
            "policy": {"executionTimeout": 1800, "ttl": 86400},
        },
        {
            "video": {"resolution": "720p", "maxFrames": 1000},
            "render": {
                "mode": "Streaming",
                "windowFrames": 81,
                "motionFrames": 9,
                "steps": 40,
                "teaCache": {"threshold": 0.2},
                "apg": {"momentum": -0.75, "normThreshold": 55.0},
                "memory": {"residentParameters": 0},
            },
            "activeDeadlineSeconds": 1800,
            "ttlSecondsAfterFinished": 86400,
        },
        ("motion_frame 11 was changed to 9", "policy was read in seconds"),
    ),
]

BATCH = Printed(
    "Batch of two",
    {
        "input": {
            "batch": [
                {
                    "id": "item-1",
                    "prompt": "A teacher explaining a concept",
                    "cond_video": f"{SITE}/media/teacher.jpg",
                    "cond_audio": {"person1": f"{SITE}/audio/t1.wav"},
                    "size": "infinitetalk-480",
                    "mode": "clip",
                    "sample_steps": 8,
                },
                {
                    "id": "item-2",
                    "prompt": "A chef presenting a recipe",
                    "cond_video": f"{SITE}/media/chef.jpg",
                    "cond_audio": {"person1": f"{SITE}/audio/c1.wav"},
                    "size": "infinitetalk-480",
                    "mode": "clip",
                    "sample_steps": 12,
                },
            ],
            "output_config": {"store": "s3", "prefix": "infinitetalk/batch"},
        }
    },
    {
        "source": {"image": _uri("media/teacher.jpg")},
        "output": {"name": "{namespace}/infinitetalk/batch/{name}-{revision}"},
    },
)
