"""LoRAs of an order: which files they are, and how the stages hand them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_api.stage_input import StageInput
from talkingvideo_api.uris import safe_uri
from talkingvideo_worker.engines.base import LoraFile


@dataclass(frozen=True)
class LoraInForce:
    """A LoRA in force.

    Attributes:
        index: Its place in the order in which they are applied.
        scale: How much of it is applied.
        field: Path of its field in the spec; None for a preset's.
        name: On the weights volume; None for one with an address.
        uri: Where it is fetched from; None for one on the weights volume.
    """

    index: int
    scale: float
    field: str | None
    name: str | None
    uri: str | None


def loras_of(stage_input: StageInput) -> Iterator[LoraInForce]:
    """The LoRAs in force, the preset's first; none for engines that have no use for them."""
    sampling, render = stage_input.effective.sampling, stage_input.spec.render
    in_force = sampling.loras if sampling else ()
    of_preset = len(in_force) - len((render.loras if render else None) or ())
    for index, lora in enumerate(in_force):
        given = index - of_preset
        field = None if given < 0 else f"spec.render.loras[{given}].{'uri' if lora.uri else 'name'}"
        yield LoraInForce(index, 1.0 if lora.scale is None else lora.scale, field, lora.name, lora.uri)


def fetched_loras(stage_input: StageInput) -> Iterator[tuple[LoraInForce, str]]:
    """Those with an address, and it."""
    for lora in loras_of(stage_input):
        if lora.uri is not None:
            yield lora, lora.uri


def lora_name(index: int) -> str:
    """A fetched one's name among the prepared files."""
    return f"loras/{index}.safetensors"


def lora_files(stage_input: StageInput, folder: Path, digests: Mapping[str, str]) -> tuple[LoraFile, ...]:
    """The LoRAs in force as engines see them.

    Args:
        stage_input: What to make.
        folder: Where the prepared files are.
        digests: sha256 of the fetched ones, by their names there.
    """
    return tuple(
        LoraFile(lora.name, lora.scale, field=lora.field)
        if lora.name is not None
        else LoraFile(safe_uri(lora.uri or ""), lora.scale, folder / name, digests.get(name), lora.field)
        for lora in loras_of(stage_input)
        for name in (lora_name(lora.index),)
    )
