"""Speed and memory of the infinitetalk engine on a GPU: ``uv run --all-extras python bench/gpu.py --json gpu.json``.

The full-size model with random weights, made on the GPU. Needs no installed package of this project, no network and no
weights: in a copied tree ``PYTHONPATH=worker/src:api/src python bench/gpu.py`` with torch, diffusers, transformers,
accelerate, safetensors, ftfy and pydantic does. What fails (out of memory, a kernel that is not there) is listed, and
the rest goes on.

Without a GPU every figure is *not measured*; a tiny model then shows that the script runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from infinitetalk.devices import machine_facts
from infinitetalk.figures import NOT_MEASURED, Figures
from infinitetalk.plan import QUICK_SIZES, SIZES, Kernels, Plan, full_plan, quick_plan
from infinitetalk.random_networks import TINY, NetworkSizes
from infinitetalk.running import run_plan
from infinitetalk.session import Limits, Session
from infinitetalk.work import WindowSize

from talkingvideo_api.spec import Preset
from talkingvideo_worker.engines.infinitetalk.attention import ATTENTION_VARIABLE, choose_backend, installed_kernels

SMOKE_WINDOW = WindowSize(32, 32, 9)
SMOKE_MOTION = 5
SMOKE_PRESET = Preset.TURBO


def main() -> None:
    options = _options()
    device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
    plan = options.plan(options.only, options.sizes)
    stats = machine_facts(device)
    backend = os.environ.get(ATTENTION_VARIABLE) or choose_backend(installed_kernels(device))
    figures = Figures({**stats.to_dict(), "attention": backend, "measured": device.type == "cuda"})
    started = time.monotonic()
    limits = Limits(started + 60 * options.minutes, options.longest_window)

    def save() -> None:
        if options.json:
            figures.save(options.json)

    session = Session(device, NetworkSizes(), figures, stats.peak, limits, save)
    session.put_planned_rows(plan)
    for name, value in figures.machine.items():
        print(f"- {name}: {value}")
    failures: Sequence[str] = ()
    if device.type == "cuda":
        run_plan(session, plan, _exporting(options.trace))
    else:
        failures = _smoke(plan)
    save()
    print(f"\n{figures.to_markdown()}\n")
    if device.type == "cuda":
        print(f"Took {time.monotonic() - started:.0f} s.")
    else:
        _tell_smoke(failures, time.monotonic() - started)


def _smoke(plan: Plan) -> Sequence[str]:
    """Run the plan's variants on a tiny model; its figures mean nothing and are thrown away."""
    device = torch.device("cpu")
    variants = [variant for variant in plan.variants if variant.kernels is Kernels.EAGER]
    figures = Figures({})
    session = Session(device, TINY, figures, motion=SMOKE_MOTION)
    run_plan(session, Plan(variants, [SMOKE_WINDOW], [SMOKE_PRESET]), lambda _profile: None)
    unmeasured = [f"{row.variant}: no time" for row in figures.calls.values() if row.seconds is None]
    return [*figures.failures, *unmeasured]


def _tell_smoke(failures: Sequence[str], seconds: float) -> None:
    print(
        f"No GPU: every figure above is {NOT_MEASURED}. Smoke run of a tiny model on the CPU: {seconds:.1f} s, ", end=""
    )
    print("every part ran." if not failures else "but these did not run:")
    print("\n".join(f"- {failure}" for failure in failures))
    if failures:
        sys.exit(1)


def _exporting(path: Path | None) -> Callable[[Any], None]:
    return lambda profile: None if path is None else profile.export_chrome_trace(str(path))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed and memory of the infinitetalk engine on a GPU.")
    parser.add_argument(
        "--quick",
        dest="plan",
        action="store_const",
        const=quick_plan,
        default=full_plan,
        help="what goals are set for, at 640x640",
    )
    parser.add_argument("--sizes", type=_sizes, help="height and width of frames, such as 640x640,704x1280")
    parser.add_argument(
        "--only", default="", help="what variants must have in their names, such as 'resident, compiled'"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing more after these")
    parser.add_argument(
        "--longest-window", type=float, default=30.0, help="seconds; longer ones are added up from their parts"
    )
    parser.add_argument("--json", type=Path, help="write all figures here, as they come")
    parser.add_argument("--trace", type=Path, help="write the profile here, for chrome://tracing or Perfetto")
    options = parser.parse_args()
    options.sizes = options.sizes or (QUICK_SIZES if options.plan is quick_plan else SIZES)
    return options


def _sizes(text: str) -> list[tuple[int, int]]:
    sizes = []
    for size in text.split(","):
        height, _, width = size.partition("x")
        if not (height.isdecimal() and width.isdecimal() and int(height) % 16 == int(width) % 16 == 0):
            raise argparse.ArgumentTypeError(f"{size!r} is no height and width in multiples of 16")
        sizes.append((int(height), int(width)))
    return sizes


if __name__ == "__main__":
    main()
