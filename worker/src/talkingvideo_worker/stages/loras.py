"""The effective LoRAs: which of them are fetched, and their files as engines read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from talkingvideo_api.inputs import Input, InputKind, inputs_of
from talkingvideo_api.stage_input import StageInput
from talkingvideo_api.uris import safe_uri
from talkingvideo_api.values import EffectiveLora
from talkingvideo_worker.engines.base import LoraFile


def fetched_loras(stage_input: StageInput) -> Iterator[Input]:
    """The LoRAs that are fetched; none for engines without diffusion, which do not use them."""
    if stage_input.effective.sampling is not None:
        yield from (lora for lora in inputs_of(stage_input.spec) if lora.kind is InputKind.LORA)


def lora_name(index: int) -> str:
    """Name of a fetched LoRA among the prepared files, by its index in spec.render.loras."""
    return f"loras/{index}.safetensors"


def lora_files(stage_input: StageInput, folder: Path, digests: Mapping[str, str]) -> tuple[LoraFile, ...]:
    """The effective LoRAs, in the sequence in which they are applied.

    Args:
        stage_input: What to make.
        folder: Folder of the prepared files.
        digests: sha256 of the fetched LoRAs by their names in the folder.
    """
    sampling = stage_input.effective.sampling
    fetched = {lora.index: lora for lora in fetched_loras(stage_input)}
    return tuple(_lora_file(lora, fetched, folder, digests) for lora in (sampling.loras if sampling else ()))


def _lora_file(lora: EffectiveLora, fetched: Mapping[int, Input], folder: Path, digests: Mapping[str, str]) -> LoraFile:
    if lora.index is None or lora.index not in fetched:
        field = None if lora.index is None else f"spec.render.loras[{lora.index}].name"
        return LoraFile(lora.name or "", lora.scale, field=field)
    source, name = fetched[lora.index], lora_name(lora.index)
    return LoraFile(safe_uri(source.reference.uri), lora.scale, folder / name, digests.get(name), source.field)
