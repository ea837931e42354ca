"""The TalkingVideo that the options of ``submit`` and ``plan`` describe; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from talkingvideo_api.names import API_VERSION, KIND, is_object_name
from talkingvideo_api.resource import parse
from talkingvideo_api.spec import MAX_SPEAKERS
from talkingvideo_cli.exits import usage
from talkingvideo_cli.settings import assign

MAX_STEM = 40
"""Characters of a generated name before its random end. The names of Jobs keep 38."""

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
"""Files that are dubbed; all others are pictures. The cluster decides by their content whether they are usable."""


@dataclass(frozen=True)
class Wish:
    """What a person wants, as the options say it.

    Attributes:
        picture: URI of the picture or video.
        sounds: URIs of recordings.
        texts: Texts to speak.
        title: Name of the picture's file, from which a name is generated.
        name: Name of the object; generated when absent.
        voices: Voices of the texts, in their order.
        profile: Name of a profile.
        preset: Name of a preset.
        settings: ``path=value`` each.
    """

    picture: str
    sounds: Sequence[str] = ()
    texts: Sequence[str] = ()
    title: str = ""
    name: str | None = None
    voices: Sequence[str] = ()
    profile: str | None = None
    preset: str | None = None
    settings: Sequence[str] = ()


def manifest(wish: Wish) -> dict[str, Any]:
    """The object that a wish describes.

    Raises:
        CommandError: The options contradict each other, or the name is none.
        StageError: The models refuse the spec; with the field.
    """
    spec: dict[str, Any] = {
        "source": {"video" if _is_video(wish.title) else "image": {"uri": wish.picture}},
        "speech": {"speakers": _speakers(wish)},
    }
    if wish.profile is not None:
        spec["profile"] = wish.profile
    if wish.preset is not None:
        spec["render"] = {"preset": wish.preset}
    for setting in wish.settings:
        assign(spec, setting)
    body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": _metadata(wish), "spec": spec}
    parse({**body, "metadata": {"name": wish.name or "generated"}})
    return body


def dry_run_of(video: dict[str, Any]) -> dict[str, Any]:
    """The object that plans what another one would render."""
    left_out = ("suspend", "cancel", "activeDeadlineSeconds")
    spec = {key: value for key, value in video["spec"].items() if key not in left_out}
    metadata = video["metadata"]
    stem = metadata.get("name") or metadata["generateName"].rstrip("-")
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"generateName": f"{stem[:MAX_STEM]}-plan-"},
        "spec": {**spec, "dryRun": True},
    }


def title_of(uri: str) -> str:
    """Name of the file that a URI names; empty where it names none."""
    if uri.startswith("data:"):
        return ""
    return PurePosixPath(unquote(urlsplit(uri).path)).name


def stem_of(title: str) -> str:
    """The beginning of an object's name, from the name of a file."""
    plain = unicodedata.normalize("NFKD", PurePosixPath(title).stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_STEM].strip("-") or "video"


def _metadata(wish: Wish) -> dict[str, str]:
    if wish.name is None:
        return {"generateName": f"{stem_of(wish.title)}-"}
    if not is_object_name(wish.name):
        raise usage(
            f"--name {wish.name}: use lower case letters, digits, '-' and '.', with a letter or digit at each end, "
            "at most 253 characters"
        )
    return {"name": wish.name}


def _speakers(wish: Wish) -> list[dict[str, Any]]:
    count = len(wish.sounds) + len(wish.texts)
    if not 1 <= count <= MAX_SPEAKERS:
        raise usage(f"give a SOUND or --text for each speaker: one or two, not {count}")
    if len(wish.voices) > len(wish.texts):
        raise usage("--voice belongs to a --text: a recording has its own voice")
    voices = [{"voice": voice} for voice in wish.voices] + [{}] * (len(wish.texts) - len(wish.voices))
    texts = [{"text": text, **voice} for text, voice in zip(wish.texts, voices, strict=True)]
    return [{"audio": {"uri": uri}} for uri in wish.sounds] + texts


def _is_video(title: str) -> bool:
    return PurePosixPath(title).suffix.lower() in VIDEO_SUFFIXES
