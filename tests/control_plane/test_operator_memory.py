"""No author can exceed the operator's memory limit, whatever their objects hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.cluster import Cluster
from tests.control_plane.hostile_objects import create, large_video, peak_megabytes
from tests.control_plane.operator_process import Sandbox, running_operator, wait_until

OBJECTS = 250
ANNOTATION = 200_000
ALLOWED_MEGABYTES = 120
"""What large objects may add to the operator's memory at any time: a page of 20 and what a parser makes of it. As models,
250 such objects take more than 500 MB."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of a process from /proc")
def test_hundreds_of_large_objects_add_little_to_the_memory_of_a_restart(
    sandbox: Sandbox, installed: Cluster, tmp_path: Path
) -> None:
    alone = peak_megabytes(sandbox.operator)
    create(installed, sandbox.namespace, (large_video(number, ANNOTATION) for number in range(OBJECTS)))
    wait_until(
        lambda: sandbox.status(f"large-{OBJECTS - 1}").get("phase") == "Suspended", "all objects are suspended", 60
    )
    running = peak_megabytes(sandbox.operator)
    sandbox.operator.stop()
    folder = tmp_path / "restarted"
    folder.mkdir()
    with running_operator(installed, folder, sandbox.namespace) as restarted:
        listed = restarted.lines("listed all objects")
        assert listed
        restarted_peak = peak_megabytes(restarted)
    assert running - alone < ALLOWED_MEGABYTES
    assert restarted_peak - alone < ALLOWED_MEGABYTES
