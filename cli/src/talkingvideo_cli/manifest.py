"""The TalkingVideo that the options of ``submit`` and ``plan`` describe; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from talkingvideo_api.assignments import Assignment, assemble, errors_by_option, parse_assignment
from talkingvideo_api.names import API_VERSION, KIND, object_name_of
from talkingvideo_api.resource import parse
from talkingvideo_api.spec import MAX_SPEAKERS
from talkingvideo_cli.exits import usage

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
        voices: A voice for each text, or one for all.
        profile: Name of a profile.
        preset: Name of a preset.
        settings: ``spec.FIELD=VALUE`` each.
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
        CommandError: The options contradict each other.
        StageError: The models refuse the object; with the option.
    """
    assignments = [
        Assignment("", "apiVersion", API_VERSION),
        Assignment("", "kind", KIND),
        Assignment("--name", "metadata.name", wish.name or "generated"),
        Assignment("PICTURE", f"spec.source.{'video' if _is_video(wish.title) else 'image'}.uri", wish.picture),
        *_speech(wish),
        *_choices(wish),
    ]
    with errors_by_option(assignments):
        video = parse(assemble(assignments))
    title = PurePosixPath(wish.title).stem
    name = {"name": wish.name} if wish.name else {"generateName": f"{object_name_of(title, MAX_STEM)}-"}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": name, "spec": video.spec.to_dict()}


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


def _speech(wish: Wish) -> Iterator[Assignment]:
    count = len(wish.sounds) + len(wish.texts)
    if not 1 <= count <= MAX_SPEAKERS:
        raise usage(f"give a SOUND or --text for each speaker: one or two, not {count}")
    if wish.voices and len(wish.voices) not in (1, len(wish.texts)):
        raise usage("--voice: give one voice for all texts, or one for each text")
    if wish.voices and not wish.texts:
        raise usage("--voice belongs to a --text: a recording has its own voice")
    for index, sound in enumerate(wish.sounds):
        yield Assignment("SOUND", f"spec.speech.speakers[{index}].audio.uri", sound)
    for number, text in enumerate(wish.texts):
        index = len(wish.sounds) + number
        yield Assignment("--text", f"spec.speech.speakers[{index}].text", text)
        if wish.voices:
            yield Assignment("--voice", f"spec.speech.speakers[{index}].voice", wish.voices[number % len(wish.voices)])


def _choices(wish: Wish) -> Iterator[Assignment]:
    if wish.profile is not None:
        yield Assignment("--profile", "spec.profile", wish.profile)
    if wish.preset is not None:
        yield Assignment("--preset", "spec.render.preset", wish.preset)
    yield from (parse_assignment(setting) for setting in wish.settings)


def _is_video(title: str) -> bool:
    return PurePosixPath(title).suffix.lower() in VIDEO_SUFFIXES
