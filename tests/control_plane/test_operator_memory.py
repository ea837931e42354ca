"""No author can exceed the operator's memory limit, whatever their objects hold."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.cluster.cluster import Cluster
from tests.cluster.fake_kubelet import FakeKubelet
from tests.control_plane.hostile_objects import create, large_video, peak_megabytes
from tests.control_plane.operator_process import GROUP, PLURAL, VERSION, Sandbox, running_operator, wait_until

OBJECTS = 250
ANNOTATION = 200_000
ALLOWED_MEGABYTES = 120
"""What large objects may add to the operator's memory at any time: a page of 20 and what a parser makes of it. As models,
250 such objects take more than 500 MB."""


SETTLE_SECONDS = 10
"""Time in which kopf lists and the operator reads all objects after a restart."""

LEASE = {"durationSeconds": 15}
"""On a machine that is busy with creating the objects, the tests' usual two seconds may pass without a renewal."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of a process from /proc")
def test_hundreds_of_large_objects_add_little_to_the_memory_of_a_restart(
    installed: Cluster, fake_kubelet: FakeKubelet, namespace: str, tmp_path: Path
) -> None:
    with running_operator(installed, tmp_path, namespace, lease=LEASE) as operator:
        sandbox = Sandbox(installed, fake_kubelet, namespace, operator)
        alone = peak_megabytes(operator)
        create(installed, namespace, (large_video(number, ANNOTATION) for number in range(OBJECTS)))
        last = f"large-{OBJECTS - 1}"
        wait_until(lambda: sandbox.status(last).get("phase") == "Suspended", "all objects are suspended", 120)
        running = peak_megabytes(operator)
        operator.stop()
        operator.start()
        time.sleep(SETTLE_SECONDS)
        restarted = peak_megabytes(operator)
    installed.objects.delete_collection_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL)
    assert running - alone < ALLOWED_MEGABYTES, (alone, running, restarted)
    assert restarted - alone < ALLOWED_MEGABYTES, (alone, running, restarted)
