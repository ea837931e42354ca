"""The operator is killed: nothing is lost, nothing is repeated, and two never act at once."""

import time
from typing import Any

import pytest
from tests.control_plane.operator_process import Sandbox, running_operator, video, wait_until

from talkingvideo_api.errors import ErrorCode


def until_jobs(sandbox: Sandbox, count: int) -> None:
    wait_until(lambda: len(sandbox.jobs()) == count, f"{count} Jobs")


def before_the_plan_is_read(sandbox: Sandbox) -> None:
    until_jobs(sandbox, 1)
    sandbox.operator.kill()
    sandbox.finish("prepare")


def while_chunks_are_rendered(sandbox: Sandbox) -> None:
    sandbox.finish("prepare")
    until_jobs(sandbox, 4)
    sandbox.operator.kill()
    sandbox.finish("render", 0)
    sandbox.finish("render", 1)


def while_the_last_chunk_is_rendered(sandbox: Sandbox) -> None:
    sandbox.finish("prepare")
    for chunk in range(3):
        sandbox.finish("render", chunk)
    until_jobs(sandbox, 5)
    sandbox.operator.kill()
    sandbox.finish("render", 3)


def before_the_result_is_read(sandbox: Sandbox) -> None:
    sandbox.finish("prepare")
    for chunk in range(4):
        sandbox.finish("render", chunk)
    until_jobs(sandbox, 6)
    sandbox.operator.kill()
    sandbox.finish("stitch")


@pytest.mark.parametrize(
    "killed",
    [
        before_the_plan_is_read,
        while_chunks_are_rendered,
        while_the_last_chunk_is_rendered,
        before_the_result_is_read,
    ],
)
def test_a_killed_operator_loses_and_repeats_nothing(sandbox: Sandbox, killed: Any) -> None:
    sandbox.apply(video())
    killed(sandbox)
    sandbox.operator.start()
    ended = {"prepare-0", "r0-0", "r1-0", "r2-0", "r3-0", "stitch-0"}
    while sandbox.status().get("phase") != "Succeeded":
        sandbox.finish_what_is_pending()
        assert set(sandbox.units()) <= ended
    assert set(sandbox.units()) == ended
    uids = [job.metadata.uid for job in sandbox.cluster.batch.list_namespaced_job(sandbox.namespace).items]
    assert len(uids) == 6
    pods = sandbox.cluster.core.list_namespaced_pod(sandbox.namespace).items
    assert len(pods) == 6


def test_failures_are_counted_across_restarts(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.finish("prepare")
    sandbox.fail(ErrorCode.FFMPEG, "render", 0)
    wait_until(lambda: sandbox.chunk_status().get("failed"), "the failure is counted")
    sandbox.operator.kill()
    sandbox.operator.start()
    sandbox.pod("render", 0, attempt=1)
    assert sandbox.chunk_status()["failed"][0]["failures"] == 1


def test_a_video_created_while_the_operator_was_down_is_found(sandbox: Sandbox) -> None:
    sandbox.operator.kill()
    sandbox.apply(video())
    sandbox.operator.start()
    sandbox.wait_phase("Preparing")


def test_a_job_deleted_while_the_operator_was_down_is_created_again(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.finish("prepare")
    until_jobs(sandbox, 4)
    sandbox.operator.kill()
    name = next(job for job in sandbox.jobs() if "-r0-" in job)
    sandbox.cluster.batch.delete_namespaced_job(name, sandbox.namespace, propagation_policy="Background")
    until_jobs(sandbox, 3)
    sandbox.operator.start()
    until_jobs(sandbox, 4)


def test_an_operator_that_gets_a_sigterm_ends_at_once(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.wait_phase("Preparing")
    began = time.monotonic()
    assert sandbox.operator.stop() == 0
    assert time.monotonic() - began < 5


def test_a_second_operator_waits_for_the_lease_and_takes_over(sandbox: Sandbox, tmp_path: Any) -> None:
    import threading

    folder = tmp_path / "second"
    folder.mkdir()
    acting = threading.Event()

    def second() -> None:
        with running_operator(sandbox.cluster, folder, sandbox.namespace):
            acting.set()
            taken.wait(60)

    taken = threading.Event()
    thread = threading.Thread(target=second)
    thread.start()
    try:
        assert not acting.wait(6)
        sandbox.apply(video())
        sandbox.wait_phase("Preparing")
        log = (folder / "operator.log").read_text().splitlines()
        assert not [line for line in log if "POST" in line and "leases" not in line]
        sandbox.operator.kill()
        assert acting.wait(20)
        sandbox.finish("prepare")
        sandbox.wait_phase("Rendering")
    finally:
        taken.set()
        thread.join(30)
