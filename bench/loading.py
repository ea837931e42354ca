"""How fast the transformer loads: ``uv run --all-extras python bench/loading.py [--gigabytes 1]``.

Random weights as they are published (float32) and converted (bfloat16), beside two plain sequential reads of the same
files: over and over into one buffer, as ``dd`` does, and into new memory, which a load to the host needs as well. Each
kind loads in a process of its own, from the page cache and (where it can be dropped) from the disk; reads and loads
alternate; medians of the runs and of their ratios. On a GPU everything goes there; without one all blocks are offloaded
to host memory, which copies every byte, as a lean memory mode does on a GPU.

Memory is the most that the process had for itself while it loaded, beside what the mode holds in bfloat16. Pages of mapped
files are not counted: the kernel takes them back when it needs them.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from statistics import median

import torch
from infinitetalk.figures import table
from infinitetalk.stored_weights import write_weights

from talkingvideo_worker.engines.infinitetalk.memory.loading import load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.modes import BLOCK_SLOTS, MemoryMode
from talkingvideo_worker.engines.infinitetalk.memory.offloading import BlockLayout
from talkingvideo_worker.engines.infinitetalk.weights.converted import converted_transformer
from talkingvideo_worker.engines.infinitetalk.weights.files import BASE, adapter_of
from talkingvideo_worker.engines.infinitetalk.weights.transformer import StoredTransformer, published_transformer

RUNS = 3
BUFFER_BYTES = 16 * 2**20
GB = 1e9

MOSTLY = 0.9
"""Part of the files that must have come from the disk, for a run to count as one from it."""


class Files(StrEnum):
    """Which copy is loaded."""

    PUBLISHED = "published"
    CONVERTED = "converted"

    def stored(self, folder: Path) -> StoredTransformer:
        """The copy."""
        published = published_transformer(folder / BASE, folder / adapter_of(1))
        if self is Files.PUBLISHED:
            return published
        converted = converted_transformer(folder, 1, published)
        if converted is None:
            raise RuntimeError("the converted copy is not accepted")
        return converted


class Cache(StrEnum):
    """Where the files' bytes are before they are loaded."""

    WARM = "page cache"
    COLD = "disk"


@dataclass(frozen=True)
class Row:
    """One kind of load."""

    files: str
    come_from: str
    gigabytes: float
    dd_gb_per_s: float | None = None
    read_gb_per_s: float | None = None
    """Into new memory."""
    load_gb_per_s: float | None = None
    load_beside_dd: float | None = None
    """Of GB/s: 1 is as fast."""
    load_beside_read: float | None = None
    memory_beside_weights: float | None = None


def main() -> None:
    options = _options()
    if options.kind:
        print(json.dumps(asdict(_measured(options.folder, Files(options.kind[0]), Cache(options.kind[1])))))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_weights(folder, options.gigabytes * GB)
        rows = [_in_own_process(folder, files, cache) for cache in Cache for files in Files]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "host memory (no GPU)"
    print(f"To {device}, medians of {RUNS}:\n\n{table(rows)}")
    if options.json:
        options.json.write_text(json.dumps({"device": device, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")


def _in_own_process(folder: Path, files: Files, cache: Cache) -> Row:
    command = [sys.executable, __file__, "--folder", folder, "--kind", files, cache]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def _measured(folder: Path, files: Files, cache: Cache) -> Row:
    stored = files.stored(folder)
    paths = [file.path for file in stored.files]
    size = stored.bytes
    _load(stored)
    peaks: list[float] = []
    actions: dict[str, Callable[[], object]] = {
        "dd": lambda: _read(paths),
        "read": lambda: [path.read_bytes() for path in paths],
        "load": lambda: peaks.append(_peak_share(stored)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(RUNS):
        for name, action in actions.items():
            _prepare(paths, cache)
            before = _bytes_from_disk()
            started = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - started)
            if cache is Cache.COLD and _bytes_from_disk() - before < MOSTLY * size:
                return Row(files, f"{cache} (the page cache could not be dropped)", size / GB)
    dd, read, load = (size / GB / median(times) for times in seconds.values())
    beside_dd, beside_read = (
        median(plain / load for plain, load in zip(seconds[name], seconds["load"], strict=True))
        for name in ("dd", "read")
    )
    return Row(files, cache, size / GB, dd, read, load, beside_dd, beside_read, median(peaks))


def _load(stored: StoredTransformer) -> int:
    """Load, and touch what stayed a view of a file. Returns the bytes that the mode holds."""
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    blocks = int(stored.config["num_layers"])
    mode = MemoryMode(resident=blocks if on_gpu else 0, blocks=blocks)
    model, _ = load_transformer(stored, mode, torch.bfloat16, device)
    for name, value in model.state_dict().items():
        if not name.startswith("blocks."):
            value.amax()
    if on_gpu:
        torch.cuda.synchronize()
    empty = stored.empty(torch.bfloat16)
    slots = min(BLOCK_SLOTS, mode.offloaded) * BlockLayout.of(empty.blocks[0]).size
    return slots + sum(int(value.nbytes) for value in empty.state_dict().values())


def _peak_share(stored: StoredTransformer) -> float:
    """Load; the most memory that was the process's own, beside what the mode holds."""
    before = _own_bytes()
    with PeakOf(_own_bytes) as peak:
        weights = _load(stored)
    return (peak.value - before) / weights


def _read(paths: Sequence[Path]) -> None:
    """Read files one after another, as ``dd`` does."""
    buffer = bytearray(BUFFER_BYTES)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def _prepare(paths: Sequence[Path], cache: Cache) -> None:
    gc.collect()
    if cache is Cache.WARM:
        _read(paths)
        return
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _bytes_from_disk() -> int:
    return _number(Path("/proc/self/io"), "read_bytes:")


def _own_bytes() -> int:
    """Memory that is no page of a file; pinned memory counts as shared."""
    status = Path("/proc/self/status")
    return 1024 * (_number(status, "RssAnon:") + _number(status, "RssShmem:"))


def _number(path: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(name))


class PeakOf:
    """The largest value that something had, looked at every few milliseconds.

    Args:
        look: Gives the value.
    """

    def __init__(self, look: Callable[[], int]) -> None:
        self._look, self._stop = look, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.value = 0

    def __enter__(self) -> PeakOf:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.value = max(self.value, self._look())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How fast the transformer loads.")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of the published files")
    parser.add_argument("--folder", type=Path, help="on the disk that is measured; else the temporary folder")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--kind", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
