"""What the keys of a LoRA's file mean for the transformer's weights. No torch.

Published files name layers as Wan 2.1 does, mostly behind ``diffusion_model.``; kohya's tools write ``lora_unet_`` and
underscores for dots. Per layer there is a product of two thin matrices (``lora_down`` or ``lora_A``, ``lora_up`` or
``lora_B``, scaled by ``alpha`` / rank), or a whole difference: of the weight (``diff``), of the bias (``diff_b``), of the
modulation (``diff_m``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from talkingvideo_worker.engines.infinitetalk.weights.shapes import Shape

PREFIX = re.compile(r"(model\.)?diffusion_model\.")
FLAT_PREFIX = re.compile(r"lora_unet_+")

PARTS = {
    "lora_down.weight": ("weight", "down"),
    "lora_A.weight": ("weight", "down"),
    "lora_up.weight": ("weight", "up"),
    "lora_B.weight": ("weight", "up"),
    "alpha": ("weight", "alpha"),
    "diff": ("weight", "diff"),
    "diff_b": ("bias", "diff"),
    "diff_m": ("modulation", "diff"),
}
"""End of a key: which of a layer's weights it changes, and how."""

PATCHES = "patch_embedding.weight"
"""Takes the noise first: 16 channels, the only ones of a text-to-video model; the reference's 20 come behind them."""

SHOWN = 5
"""Keys that a message lists."""


@dataclass(frozen=True)
class Change:
    """What a file has for one weight: keys of its tensors, None for what it lacks."""

    down: str | None = None
    up: str | None = None
    alpha: str | None = None
    diff: str | None = None

    @property
    def complete(self) -> bool:
        """Whether it says a difference: a product has both factors, and alpha scales something."""
        return (self.down is None) == (self.up is None) and (self.down is not None or self.diff is not None)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that there are."""
        return tuple(key for key in (self.down, self.up, self.alpha, self.diff) if key is not None)


@dataclass(frozen=True)
class Reading:
    """What a file changes, and why it may not be used.

    Attributes:
        changes: By the published name of the weight.
        left_out: Weights of a text-to-video model that have another shape here, and are left as they are.
        problems: Parts of a sentence, each with its keys; none for a good file.
    """

    changes: Mapping[str, Change]
    left_out: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_keys(shapes: Mapping[str, Shape], targets: Mapping[str, Shape]) -> Reading:
    """Find what each key of a LoRA changes.

    Args:
        shapes: Of the file's tensors by key.
        targets: Shapes of the transformer's weights by published name.
    """
    changes, unknown, doubled = dict[str, Change](), list[str](), list[str]()
    flat = {_flattened(layer): layer for layer in {name.rpartition(".")[0] for name in targets}}
    for key in shapes:
        layer, weight, part = _meaning(key, flat)
        target = layer if layer in targets else f"{layer}.{weight}"
        change = changes.get(target, Change())
        if target not in targets:
            unknown.append(key)
        elif getattr(change, part) is not None:
            doubled.append(key)
        else:
            changes[target] = replace(change, **{part: key})
    left_out = [name for name, change in changes.items() if _for_text_alone(name, change, shapes, targets)]
    used = {name: change for name, change in changes.items() if name not in left_out}
    alone = [key for change in used.values() if not change.complete for key in change.keys]
    wrong = [
        text
        for name, change in used.items()
        if change.complete
        for text in _wrong_shapes(change, shapes, targets[name])
    ]
    found = {
        "unknown": unknown,
        "said twice": doubled,
        "without their other half": alone,
        "of the wrong shape": wrong,
    }
    problems = [f"{len(some)} {problem} ({_some(some)})" for problem, some in found.items() if some]
    return Reading(used, tuple(left_out), tuple(problems or ([] if used else ["none that changes a weight"])))


def _meaning(key: str, flat: Mapping[str, str]) -> tuple[str, str, str]:
    """Layer, weight and how it changes; empty for a key that has no form of a LoRA's.

    Some writers name weights that end in neither weight nor bias in full: ``blocks.0.modulation.diff``.
    """
    for end, (weight, part) in PARTS.items():
        if key.endswith(f".{end}"):
            layer = key.removesuffix(f".{end}")
            plain = PREFIX.sub("", layer, count=1) if PREFIX.match(layer) else layer
            if prefix := FLAT_PREFIX.match(layer):
                plain = flat.get(_flattened(layer[prefix.end() :]), "")
            return plain, weight, part
    return "", "", ""


def _flattened(layer: str) -> str:
    return layer.replace(".", "_")


def _for_text_alone(name: str, change: Change, shapes: Mapping[str, Shape], targets: Mapping[str, Shape]) -> bool:
    """Whether this is the change of a text-to-video model's patch embedding, which has fewer channels."""
    given = change.down or change.diff
    if name != PATCHES or given is None:
        return False
    channels, kernel = shapes[given][1:2], shapes[given][2:]
    return kernel == targets[name][2:] and channels < targets[name][1:2]


def _wrong_shapes(change: Change, shapes: Mapping[str, Shape], target: Shape) -> Iterator[str]:
    """Tensors that do not fit a weight, with their shapes."""
    if change.diff is not None and shapes[change.diff] != target:
        yield f"{change.diff}: {_shown(shapes[change.diff])} instead of {_shown(target)}"
    if change.alpha is not None and math.prod(shapes[change.alpha]) != 1:
        yield f"{change.alpha}: {_shown(shapes[change.alpha])} instead of one number"
    if change.down is None or change.up is None:
        return
    down, up = shapes[change.down], shapes[change.up]
    rank, out = (down or (0,))[0], (target or (0,))[0]
    if len(target) < 2 or math.prod(down) != rank * math.prod(target[1:]) or not rank:
        yield f"{change.down}: {_shown(down)} does not fit {_shown(target)}"
    elif (up or (0,))[0] != out or math.prod(up) != out * rank:
        yield f"{change.up}: {_shown(up)} instead of {_shown((out, rank))}"


def _shown(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"


def _some(texts: Iterable[str]) -> str:
    listed = list(texts)
    return ", ".join(listed[:SHOWN]) + (", …" if len(listed) > SHOWN else "")
