"""The inputs of a spec: one list of everything that is fetched, with the field that names it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from talkingvideo_api.spec import MediaReference, TalkingVideoSpec


class InputKind(StrEnum):
    """What an input is, which decides its limit and how it is read."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    MASK = "mask"
    LORA = "lora"


@dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        kind: What it is.
        path: Path of the field that holds the reference, such as ``spec.speech.speakers[0].audio``.
        reference: Where it is fetched from.
        index: Index in the field's list: of speakers or LoRAs; 0 for the source.
    """

    kind: InputKind
    path: str
    reference: MediaReference
    index: int = 0

    @property
    def field(self) -> str:
        """Path of the field that holds the URI."""
        return f"{self.path}.uri"

    @property
    def name(self) -> str:
        """A file name for it, unique within the spec: ``image-0``, ``audio-1``, ``lora-0``."""
        return f"{self.kind.value}-{self.index}"


def inputs_of(spec: TalkingVideoSpec) -> Iterator[Input]:
    """Every input, in the order of the spec."""
    if spec.source.image:
        yield Input(InputKind.IMAGE, "spec.source.image", spec.source.image)
    if spec.source.video:
        yield Input(InputKind.VIDEO, "spec.source.video", spec.source.video)
    for index, speaker in enumerate(spec.speech.speakers):
        path = f"spec.speech.speakers[{index}]"
        if speaker.audio:
            yield Input(InputKind.AUDIO, f"{path}.audio", speaker.audio, index)
        if speaker.mask:
            yield Input(InputKind.MASK, f"{path}.mask", speaker.mask, index)
    for index, lora in enumerate((spec.render.loras if spec.render else None) or ()):
        if lora.uri:
            yield Input(InputKind.LORA, f"spec.render.loras[{index}]", MediaReference(uri=lora.uri), index)


def input_of(spec: TalkingVideoSpec, kind: InputKind, index: int = 0) -> Input | None:
    """The input of that kind and index, if the spec has it."""
    return next((each for each in inputs_of(spec) if (each.kind, each.index) == (kind, index)), None)


def require_input(spec: TalkingVideoSpec, kind: InputKind, index: int = 0) -> Input:
    """The input of that kind and index.

    Raises:
        LookupError: The spec does not have it.
    """
    found = input_of(spec, kind, index)
    if found is None:
        raise LookupError(f"the spec has no {kind.value} {index}")
    return found


def source_of(spec: TalkingVideoSpec) -> Input:
    """The picture or video that is made to speak, the first input of every spec."""
    return next(inputs_of(spec))
