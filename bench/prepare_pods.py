"""Measures what splitting prepare into pods would cost, beside what its sandbox costs.

Prints a Markdown table: the imports of each container in a fresh process, inputs on their way through a real S3 server on this
machine, and files that are opened by a confined child instead of by the process itself. Each figure is the least of several
runs: what the work takes where nothing else runs.

    uv run python bench/prepare_pods.py
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster.s3 import running_s3_server

from talkingvideo_api.profile import InputLimits
from talkingvideo_clients.stores.s3 import S3Store
from talkingvideo_worker.media.confined import ConfinedDecoders, confined_decoders
from talkingvideo_worker.media.engine_audio import write_engine_audio
from talkingvideo_worker.media.picture import read_picture

EXAMPLES = Path(__file__).parents[1] / "examples"
PICTURE, RECORDING = EXAMPLES / "portrait.jpg", EXAMPLES / "voice.ogg"
FIELD = "spec"
RUNS, TRANSFERS = 5, 2

CONTAINERS = {
    "without modules of the worker": "pass",
    "with the imports of `fetch`": "import talkingvideo_worker.cli, talkingvideo_worker.stages.prepare.fetch, "
    "talkingvideo_worker.inputs.objects",
    "with the imports of `process`": "import talkingvideo_worker.cli, talkingvideo_worker.stages.prepare.process, "
    "talkingvideo_worker.engines.preview.engine",
    "with the imports of `publish`": "import talkingvideo_worker.cli, talkingvideo_worker.stages.prepare.publish, "
    "talkingvideo_clients.stores.s3",
}
"""What a fresh process of each container imports before it works, as a program."""

SIZES = {"10 MB": 10_000_000, "500 MB": 500_000_000}


def timed(act: Callable[[], object]) -> float:
    """Seconds that something takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def least(act: Callable[[], object], runs: int = RUNS) -> float:
    """The least of several runs, after one that fills caches."""
    act()
    return min(timed(act) for _ in range(runs))


def children_cpu() -> float:
    """Computing time of all children that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def imports() -> Iterator[str]:
    for container, program in CONTAINERS.items():

        def start(program: str = program) -> None:
            subprocess.run([sys.executable, "-c", program], check=True)

        start()
        before = children_cpu()
        seconds = min(timed(start) for _ in range(RUNS))
        computing = (children_cpu() - before) / RUNS
        yield f"| a fresh process {container} | {seconds:.2f} (computing: {computing:.2f}) |"


def transfers(folder: Path) -> Iterator[str]:
    (folder / "server").mkdir()
    with running_s3_server(folder / "server") as server:
        store = S3Store(server.client(), server.create_bucket("inputs"), "prepare")
        for name, size in SIZES.items():
            source, copy = folder / "source", folder / "copy"
            with source.open("wb") as file:
                for _ in range(size // 1_000_000):
                    file.write(os.urandom(1_000_000))
            written = least(lambda source=source: store.put("input", source), TRANSFERS)  # type: ignore[misc]
            read = least(lambda copy=copy, size=size: store.get("input", copy, size), TRANSFERS)  # type: ignore[misc]
            yield f"| {name} into the store, with its digest | {written:.2f} |"
            yield f"| {name} out of the store | {read:.2f} |"
            copy.unlink()


def confined(folder: Path) -> Iterator[str]:
    limits = InputLimits()

    def start() -> None:
        with confined_decoders(folder / "decoded", limits) as decoders:
            decoders.picture(PICTURE, FIELD)

    first = least(start)
    with confined_decoders(folder / "decoded", limits) as decoders:
        yield from _beside(decoders, limits, folder / "sound.wav", first)


def _beside(decoders: ConfinedDecoders, limits: InputLimits, out: Path, first: float) -> Iterator[str]:
    picture = least(lambda: decoders.picture(PICTURE, FIELD))
    here = least(lambda: read_picture(PICTURE, limits, FIELD))
    sound = least(lambda: decoders.engine_audio(RECORDING, out, FIELD))
    sound_here = least(lambda: write_engine_audio(RECORDING, out, limits, FIELD))
    yield f"| start of the sandbox, once per video | {first - picture:.2f} |"
    yield f"| a picture, by a confined child | {picture:.3f} |"
    yield f"| the same by the process itself | {here:.3f} |"
    yield f"| a recording, by a confined child | {sound:.3f} |"
    yield f"| the same by the process itself | {sound_here:.3f} |"


def main() -> None:
    print("| | s |\n|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for part in (imports(), transfers(Path(name)), confined(Path(name))):
            for row in part:
                print(row, flush=True)


if __name__ == "__main__":
    main()
