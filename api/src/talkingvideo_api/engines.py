"""Engines: one row for each that this release brings.

An engine that another distribution brings has no row. A profile names it, and `traits_of` gives it the traits of an
unknown engine: it gets all render values, and says itself which of them have no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from talkingvideo_api.spec import Resources

INFINITETALK = "infinitetalk"
PREVIEW = "preview"


def _resources(*, request: str, limit: str, cpus: tuple[str, str] = ("500m", "2")) -> Resources:
    return Resources(requests={"cpu": cpus[0], "memory": request}, limits={"cpu": cpus[1], "memory": limit})


SMALL = _resources(request="512Mi", limit="2Gi")
MEDIUM = _resources(request="512Mi", limit="4Gi")


@dataclass(frozen=True)
class EngineTraits:
    """What the operator and the profile need to know of an engine without running it.

    Attributes:
        is_diffusion: Whether it is a diffusion model: ``spec.render``'s sampling values apply to it.
        supports_chaining: Whether a chunk can continue the one before it: ``spec.chunking.continuity`` applies.
        uses_single_region: Whether the region or mask of a single speaker matters to it.
        prepare: Resources of the prepare pod's containers, unless the profile sets them.
        render: Resources of render pods, unless the profile sets them.
    """

    is_diffusion: bool = True
    supports_chaining: bool = True
    uses_single_region: bool = True
    prepare: Resources = SMALL
    render: Resources = MEDIUM


ENGINES: Mapping[str, EngineTraits] = {
    INFINITETALK: EngineTraits(
        uses_single_region=False,
        # wav2vec2 and Kokoro bring torch, about 1 GB, and networks of 0.7 GB.
        prepare=_resources(request="2Gi", limit="4Gi"),
        # The parts of the 14B model that are not on the GPU are in the pod's memory: up to 38 GB of pinned weights.
        render=_resources(request="16Gi", limit="64Gi", cpus=("2", "8")),
    ),
    PREVIEW: EngineTraits(is_diffusion=False, supports_chaining=False),
}
"""The rows, by the engine's name."""


def traits_of(engine: str) -> EngineTraits:
    """The engine's row, or the traits of an engine that another distribution brings."""
    return ENGINES.get(engine, EngineTraits())
