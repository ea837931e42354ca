"""Speed of the preview engine at 480p, encoding included: ``uv run python bench/preview.py``.

A render stage from its start to its end, without loading: frames are made, encoded into segments and put into a store.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from memory import write_stage_input

from talkingvideo_api.spec import AspectRatio
from talkingvideo_worker.files import scratch_folder
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext, read_stage_input
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.process import process
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.render import render

RUNS = 3
SHAPES = {"640x640": AspectRatio.SOURCE, "448x832": AspectRatio.TALL, "896x448": AspectRatio.WIDE}
PORTRAIT = Path(__file__).parents[1] / "examples" / "portrait.jpg"
"""Head and shoulders: the larger the face, the slower."""


def frames_per_second(folder: Path, shape: AspectRatio) -> float:
    """Render a minute once."""
    stage_input = read_stage_input(write_stage_input(folder, 1, PORTRAIT))
    effective = stage_input.effective.model_copy(update={"aspect_ratio": shape})
    with (folder / "log").open("w") as log, scratch_folder(folder) as scratch:
        mounts = Mounts(scratch, scratch, scratch)
        context = StageContext(
            stage_input.model_validate_json(stage_input.model_copy(update={"effective": effective}).to_json()),
            mounts,
            scratch / "stage",
            LogReporter(log),
        )
        fetch(context)
        process(context)
        publish(context)
        report = render(context, 0)
    return report.frames / report.render_seconds


def main() -> None:
    """Print the table."""
    print("| size | frames/s, median | least | most |\n|---|---|---|---|")
    for name, shape in SHAPES.items():
        rates = []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                rates.append(frames_per_second(Path(folder), shape))
        print(f"| {name} | {median(rates):.0f} | {min(rates):.0f} | {max(rates):.0f} |")


if __name__ == "__main__":
    main()
