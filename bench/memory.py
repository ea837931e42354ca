"""Peak memory of render and stitch, 1 minute against 20 minutes of video, each as one chunk.

Each stage runs in a process of its own, as in a pod; the figure is the process's peak resident set:
``uv run python bench/memory.py``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from skimage import data

from talkingvideo_api.resource import parse
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.local.stage_inputs import make_stage_input

MINUTES = (1, 20)
RUNS = 3
RATE = 16_000

WATCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""

STAGE = "import sys; from talkingvideo_worker.cli import main; main()"


def make_voice(path: Path, minutes: float) -> None:
    """Write syllables without a pause, so that nothing but the settings decides the number of chunks."""
    time = np.arange(RATE * 60) / RATE
    minute = np.sin(np.pi * (time % 0.2) / 0.2) ** 2 * np.sin(2 * np.pi * 180 * time) * 12_000
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for _ in range(round(minutes)):
            file.writeframes(minute.astype(np.int16).tobytes())


def write_stage_input(folder: Path, minutes: int, portrait: Path | None = None) -> Path:
    """Write the stage input of a video of so many minutes at 480p, as one chunk."""
    Image.fromarray(np.asarray(data.astronaut())).save(folder / "face.png")  # type: ignore[no-untyped-call]
    make_voice(folder / "voice.wav", minutes)
    spec = {
        "source": {"image": {"uri": (portrait or folder / "face.png").as_uri()}},
        "speech": {"speakers": [{"audio": {"uri": (folder / "voice.wav").as_uri()}}]},
        "chunking": {"targetSeconds": 600},
    }
    video = parse({"metadata": {"name": "video"}, "spec": spec})
    stage_input = make_stage_input(video, "preview", LocalLocations(folder / "out", folder / "work"))
    one_chunk = stage_input.effective.model_copy(update={"target_seconds": 3_600.0})
    path = folder / "stage-input.json"
    path.write_text(stage_input.model_copy(update={"effective": one_chunk}).to_json())
    return path


def peak_megabytes(stage_input: Path, *stage: str) -> float:
    """Run a stage; return its peak resident set in MB."""
    command = [sys.executable, "-c", STAGE, *stage, "--stage-input", str(stage_input)]
    done = subprocess.run([sys.executable, "-c", WATCH, *command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return int(done.stdout.splitlines()[-1]) / 1_000


def measure(minutes: int) -> dict[str, float]:
    """Median peak memory of both stages."""
    with tempfile.TemporaryDirectory() as name:
        stage_input = write_stage_input(Path(name), minutes)
        peak_megabytes(stage_input, "prepare")
        render = peak_megabytes(stage_input, "render", "--chunk", "0")
        stitch = []
        for _ in range(RUNS):
            for made in Path(name).glob("out/*"):
                made.unlink()
            stitch.append(peak_megabytes(stage_input, "stitch"))
    return {"render": render, "stitch": median(stitch)}


def main() -> None:
    """Print the table."""
    short, long = (measure(minutes) for minutes in MINUTES)
    print(f"| stage | {MINUTES[0]} min, MB | {MINUTES[1]} min, MB | ratio |\n|---|---|---|---|")
    for stage in short:
        print(f"| {stage} | {short[stage]:.0f} | {long[stage]:.0f} | {long[stage] / short[stage]:.3f} |")


if __name__ == "__main__":
    main()
