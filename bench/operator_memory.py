"""Measures the operator's peak memory with large objects, on a real API server.

The objects are as large as the schema allows (inline data, texts, LoRAs) and have an annotation of 20 kB. Prints a Markdown table:
the peak resident set with no object, while the objects are created, and after a restart.

    uv run python bench/operator_memory.py [--videos 1000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster.control_plane import running_control_plane
from tests.control_plane.hostile_objects import create, large_video, peak_megabytes
from tests.control_plane.operator_process import GROUP, PLURAL, VERSION, install, running_operator, wait_until

NAMESPACE = "large"
ANNOTATION = 20_000
SETTLE_SECONDS = 30
WAIT_SECONDS = 1_800


def measure(folder: Path, videos: int) -> dict[str, float]:
    """Peak resident sets in MB."""
    (folder / "cluster").mkdir()
    (folder / "operator").mkdir()
    with running_control_plane(folder / "cluster") as plane:
        cluster = plane.cluster
        install(cluster)
        cluster.kubectl("create", "namespace", NAMESPACE)
        with running_operator(cluster, folder / "operator", NAMESPACE, lease={"durationSeconds": 60}) as operator:
            alone = peak_megabytes(operator)
            create(cluster, NAMESPACE, (large_video(number, ANNOTATION) for number in range(videos)))

            def last_is_suspended() -> bool:
                found = cluster.objects.get_namespaced_custom_object(
                    GROUP, VERSION, NAMESPACE, PLURAL, f"large-{videos - 1}"
                )
                return bool(found.get("status", {}).get("phase") == "Suspended")

            wait_until(last_is_suspended, "all objects are suspended", WAIT_SECONDS)
            created = peak_megabytes(operator)
            operator.stop()
            operator.start(WAIT_SECONDS)
            time.sleep(SETTLE_SECONDS)
            return {"no object": alone, "while they are created": created, "after a restart": peak_megabytes(operator)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=1_000)
    videos = parser.parse_args().videos
    with tempfile.TemporaryDirectory() as name:
        found = measure(Path(name), videos)
    print(f"| peak memory with {videos} large objects | MB |\n|---|---|")
    for what, megabytes in found.items():
        print(f"| {what} | {megabytes:.0f} |")


if __name__ == "__main__":
    main()
