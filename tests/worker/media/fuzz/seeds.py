"""Small files of every format that is accepted, from which mutants are made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms
from tests.worker.media.conftest import numbered, speechlike, write_sound, write_video


class Kind(StrEnum):
    """How a file is used."""

    PICTURE = "picture"
    SOUND = "sound"
    VIDEO = "video"


@dataclass(frozen=True)
class Seed:
    """An honest file."""

    name: str
    kind: Kind
    content: bytes


SOUNDS = (
    ("wav", "wav", "pcm_s16le"),
    ("wav-float", "wav", "pcm_f32le"),
    ("wav-adpcm", "wav", "adpcm_ms"),
    ("w64", "w64", "pcm_s24le"),
    ("aiff", "aiff", "pcm_s16be"),
    ("flac", "flac", "flac"),
    ("mp3", "mp3", "libmp3lame"),
    ("aac", "adts", "aac"),
    ("opus", "ogg", "libopus"),
    ("vorbis", "ogg", "vorbis"),
    ("m4a", "ipod", "aac"),
    ("alac", "ipod", "alac"),
    ("mov-pcm", "mov", "pcm_s16le"),
    ("webm-sound", "webm", "libopus"),
    ("asf", "asf", "wmav2"),
    ("caf", "caf", "pcm_s16be"),
    ("au", "au", "pcm_s16be"),
    ("ac3", "matroska", "ac3"),
)
VIDEOS = (
    ("mp4", "mp4", "libx264", True),
    ("mov", "mov", "libx264", True),
    ("hevc", "mp4", "libx265", False),
    ("webm-vp8", "webm", "libvpx", False),
    ("webm-vp9", "webm", "libvpx-vp9", False),
    ("webm-av1", "webm", "libsvtav1", False),
    ("mkv", "matroska", "libx264", True),
    ("mkv-ffv1", "matroska", "ffv1", False),
    ("avi", "avi", "mpeg4", False),
    ("avi-mjpeg", "avi", "mjpeg", False),
    ("flv", "flv", "flv", False),
    ("flv-h264", "flv", "libx264", True),
    ("mpg", "mpeg", "mpeg2video", False),
    ("mpegts", "mpegts", "libx264", True),
    ("asf-wmv", "asf", "wmv2", False),
    ("prores", "mov", "prores_ks", False),
)
FRAMES = 12


def make_seeds(folder: Path) -> list[Seed]:
    """Encode them; a codec that this FFmpeg cannot write is left out."""
    os.environ["SVT_LOG"] = "1"  # errors only
    return [*_pictures(folder), *_sounds(folder), *_videos(folder)]


def _pictures(folder: Path) -> Iterator[Seed]:
    rgb = Image.fromarray(np.random.default_rng(1).integers(0, 255, (96, 128, 3), np.uint8)).resize((160, 120))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    rgba = rgb.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(rgb.size))
    for name, image, form, options in (
        ("png", rgb, "PNG", {"icc_profile": profile, "exif": exif.tobytes()}),
        ("png-alpha", rgba, "PNG", {}),
        ("png-palette", rgb.quantize(64), "PNG", {"transparency": 3}),
        ("png-animated", rgb, "PNG", {"save_all": True, "append_images": [rgb.rotate(90)]}),
        ("png-16", Image.fromarray(np.arange(160 * 120, dtype=np.uint16).reshape(120, 160)), "PNG", {}),
        ("jpeg", rgb, "JPEG", {"icc_profile": profile, "exif": exif.tobytes()}),
        ("jpeg-progressive", rgb, "JPEG", {"progressive": True}),
        ("jpeg-cmyk", rgb.convert("CMYK"), "JPEG", {}),
        ("webp", rgb, "WEBP", {"exif": exif.tobytes()}),
        ("webp-lossless", rgba, "WEBP", {"lossless": True}),
        ("webp-animated", rgb, "WEBP", {"save_all": True, "append_images": [rgb.rotate(90)]}),
    ):
        path = folder / name
        image.save(path, form, **options)
        yield Seed(name, Kind.PICTURE, path.read_bytes())


def _sounds(folder: Path) -> Iterator[Seed]:
    for name, container, codec in SOUNDS:
        channels = 2 if codec == "vorbis" else 1
        try:
            path = write_sound(folder / name, speechlike(0.5, 48_000, channels=channels), 48_000, container, codec)
        except (ValueError, OSError):
            continue
        yield Seed(name, Kind.SOUND, path.read_bytes())


def _videos(folder: Path) -> Iterator[Seed]:
    pictures = [numbered(number) for number in range(FRAMES)]
    times = [Fraction(number, 25) for number in range(FRAMES)]
    for name, container, codec, with_sound in VIDEOS:
        sound = speechlike(0.4, 48_000) if with_sound else None
        pixels = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}.get(codec, "yuv420p")
        options = {"crf": "30", "x265-params": "log-level=none"} if codec.startswith("lib") else {"strict": "-1"}
        options |= {"preset": "12"} if codec == "libsvtav1" else {}
        base = Fraction(1, 25) if codec in {"mpeg4", "mpeg2video"} else Fraction(1, 12_000)
        try:
            path = write_video(folder / name, pictures, times, container, codec, pixels, sound, options, base)
        except (ValueError, OSError):
            continue
        yield Seed(name, Kind.VIDEO, path.read_bytes())
