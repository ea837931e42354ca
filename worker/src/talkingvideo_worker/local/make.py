"""``talkingvideo make``: its arguments become the document that ``talkingvideo run`` would read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from talkingvideo_api.assignments import Assignment, parse_assignment
from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import API_VERSION, KIND, object_name_of
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.media.formats import JPEG, PNG, UNKNOWN, WEBP, FileFormat, identify
from talkingvideo_worker.stages.result_files import RESULT_FILES, VIDEO

FIELDS = {
    "--engine": "spec.engine",
    "--preset": "spec.render.preset",
    "--resolution": "spec.video.resolution",
    "--aspect-ratio": "spec.video.aspectRatio",
    "--prompt": "spec.prompt",
    "--seed": "spec.render.seed",
}
"""Options that set one field each."""

PICTURES = (PNG, JPEG, WEBP)
WITH_PICTURES = frozenset({"mov", "matroska", "avi", "mpegts", "mpeg", "asf", "flv"})
"""Demuxers of files that may hold a video; see `talkingvideo_worker.media.formats`."""

ADDRESS = re.compile(r"[a-z][a-z0-9]+:/")
"""The beginning of a URI, with one of its slashes removed as those of paths are."""

MAX_NAME = 63
"""Characters of an object's name that are taken from the file's."""


@dataclass(frozen=True)
class MakeArguments:
    """The arguments of ``talkingvideo make``.

    Attributes:
        picture: Picture or video.
        sounds: A recording of each speaker.
        texts: A text of each speaker, instead.
        voices: A voice for each text, or one for all.
        values: Values of the options in `FIELDS`; those that are not given are None.
        settings: ``spec.FIELD=VALUE`` each.
        output: File of the video; `default_output` when absent.
        overwrite: Whether existing files are replaced.
    """

    picture: Path
    sounds: Sequence[Path] = ()
    texts: Sequence[str] = ()
    voices: Sequence[str] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    settings: Sequence[str] = ()
    output: Path | None = None
    overwrite: bool = False

    @property
    def video(self) -> Path:
        """The file that is made."""
        return self.output or default_output(self.picture)


def default_output(picture: Path) -> Path:
    """The file that is made where none is named: in the current folder, with a name of its own.

    The picture's name alone would be that of a video which is dubbed, or have a thumbnail of a JPEG picture's name.
    """
    return Path(f"{picture.stem}-talking{VIDEO.suffix}")


def assignments_of(arguments: MakeArguments) -> list[Assignment]:
    """The fields that the arguments set.

    Raises:
        StageError: E_INPUT_VALIDATION with the argument that cannot be used.
    """
    given = [(option, arguments.values.get(option)) for option in FIELDS]
    return [
        Assignment("", "apiVersion", API_VERSION),
        Assignment("", "kind", KIND),
        Assignment("-o", "metadata.name", object_name_of(arguments.video.stem, MAX_NAME)),
        Assignment("PICTURE", f"spec.source.{_source_kind(arguments.picture)}.uri", _uri(arguments.picture)),
        *_speech(arguments),
        *(Assignment(option, FIELDS[option], value) for option, value in given if value is not None),
        *(parse_assignment(setting) for setting in arguments.settings),
    ]


def result_location(arguments: MakeArguments, workspace: Path) -> LocalLocations:
    """Where the result lies, checked before any work.

    Args:
        arguments: The arguments.
        workspace: Folder of finished chunks.

    Raises:
        StageError: E_INPUT_VALIDATION for a name that cannot be used, E_OUTPUT_EXISTS where a file must not be replaced.
    """
    path = arguments.video
    if path.is_dir():
        raise StageError.invalid(f"{path} is a folder; give the name of a file that ends in {VIDEO.suffix}.", "-o")
    if path.suffix != VIDEO.suffix:
        raise StageError.invalid(f"the name {path} must end in {VIDEO.suffix}.", "-o")
    for file in (path.with_suffix(each.suffix) for each in RESULT_FILES):
        if not arguments.overwrite and os.path.lexists(file):
            message = f"{file} already exists: choose another name, or give --overwrite."
            raise StageError(ErrorCode.OUTPUT_EXISTS, message, field="-o")
    return LocalLocations(path.parent, workspace, path.stem, "-o")


def _speech(arguments: MakeArguments) -> Iterator[Assignment]:
    sounds, texts, voices = arguments.sounds, arguments.texts, arguments.voices
    if not sounds and not texts:
        raise StageError.invalid("what is said is missing: give a sound file, or --text.", "SOUND")
    if sounds and texts:
        message = "a text and a sound file are too much for one speaker; for two speakers of one each, use YAML."
        raise StageError.invalid(message, "--text")
    if voices and not texts:
        raise StageError.invalid("a recording has its own voice; give --text instead of a sound file.", "--voice")
    if voices and len(voices) not in (1, len(texts)):
        raise StageError.invalid("give one voice for all texts, or one for each text.", "--voice")
    for index, sound in enumerate(sounds):
        option = _numbered("SOUND", index, sounds)
        _check_sound(sound, option)
        yield Assignment(option, f"spec.speech.speakers[{index}].audio.uri", _uri(sound))
    for index, text in enumerate(texts):
        yield Assignment(_numbered("--text", index, texts), f"spec.speech.speakers[{index}].text", text)
        if voices:
            voice = voices[index % len(voices)]
            yield Assignment(_numbered("--voice", index, voices), f"spec.speech.speakers[{index}].voice", voice)


def _numbered(option: str, index: int, given: Sequence[object]) -> str:
    """An argument, with its number if it is given more than once."""
    return f"{option} {index + 1}" if len(given) > 1 else option


def _source_kind(path: Path) -> str:
    """The field of a source: ``image`` or ``video``."""
    found = _identify(path, "PICTURE")
    if found is not None and found.label in PICTURES:
        return "image"
    if found is not None and found.demuxer in WITH_PICTURES:
        return "video"
    label = (found or UNKNOWN).label
    raise StageError.invalid(f"{path} is {label}; give a PNG, JPEG or WebP picture, or a video.", "PICTURE")


def _check_sound(path: Path, option: str) -> None:
    """Refuse what certainly has no sound. Where first bytes do not tell (MP3, AAC), FFmpeg has to."""
    found = _identify(path, option)
    if found is not None and found.demuxer is None:
        raise StageError.invalid(f"{path} is {found.label}; give a recording.", option)


def _identify(path: Path, option: str) -> FileFormat | None:
    if ADDRESS.match(str(path)):
        raise StageError.invalid("it is an address, not a file; write it in YAML, for talkingvideo run.", option)
    try:
        if path.is_dir():
            raise StageError.invalid(f"{path} is a folder; give a file.", option)
        if path.exists() and not path.is_file():
            raise StageError.invalid(f"{path} is a device or a pipe; give a file.", option)
        return identify(path)
    except FileNotFoundError as error:
        raise StageError.invalid(f"{path} does not exist.", option) from error
    except OSError as error:
        raise StageError.invalid(f"{path} cannot be read: {error.strerror}.", option) from error


def _uri(path: Path) -> str:
    return path.resolve().as_uri()
