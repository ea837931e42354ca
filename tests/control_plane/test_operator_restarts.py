"""The operator is killed: nothing is lost, nothing is done twice, and two never act at once."""

import time
from typing import Any

import pytest
from tests.control_plane.operator_process import Stage, running_operator, video, wait_until

from talkingvideo_api.errors import ErrorCode


def until_jobs(stage: Stage, count: int) -> None:
    wait_until(lambda: len(stage.jobs()) == count, f"{count} Jobs")


def before_the_plan_is_read(stage: Stage) -> None:
    until_jobs(stage, 1)
    stage.operator.kill()
    stage.finish("prepare")


def while_chunks_are_rendered(stage: Stage) -> None:
    stage.finish("prepare")
    until_jobs(stage, 4)
    stage.operator.kill()
    stage.finish("render", 0)
    stage.finish("render", 1)


def while_the_last_chunk_is_rendered(stage: Stage) -> None:
    stage.finish("prepare")
    for chunk in range(3):
        stage.finish("render", chunk)
    until_jobs(stage, 5)
    stage.operator.kill()
    stage.finish("render", 3)


def before_the_result_is_read(stage: Stage) -> None:
    stage.finish("prepare")
    for chunk in range(4):
        stage.finish("render", chunk)
    until_jobs(stage, 6)
    stage.operator.kill()
    stage.finish("stitch")


@pytest.mark.parametrize(
    "killed",
    [
        before_the_plan_is_read,
        while_chunks_are_rendered,
        while_the_last_chunk_is_rendered,
        before_the_result_is_read,
    ],
)
def test_an_operator_killed_loses_and_repeats_nothing(stage: Stage, killed: Any) -> None:
    stage.apply(video())
    killed(stage)
    stage.operator.start()
    ended = {"prepare-0", "r0-0", "r1-0", "r2-0", "r3-0", "stitch-0"}
    while stage.status().get("phase") != "Succeeded":
        stage.finish_what_is_pending()
        assert set(stage.units()) <= ended
    assert set(stage.units()) == ended
    uids = [job.metadata.uid for job in stage.cluster.batch.list_namespaced_job(stage.namespace).items]
    assert len(uids) == 6
    pods = stage.cluster.core.list_namespaced_pod(stage.namespace).items
    assert len(pods) == 6


def test_failures_are_counted_across_restarts(stage: Stage) -> None:
    stage.apply(video())
    stage.finish("prepare")
    stage.fail(ErrorCode.FFMPEG, "render", 0)
    wait_until(lambda: stage.chunk_status().get("failed"), "the failure is counted")
    stage.operator.kill()
    stage.operator.start()
    stage.pod("render", 0, attempt=1)
    assert stage.chunk_status()["failed"][0]["failures"] == 1


def test_a_video_made_while_the_operator_was_away_is_found(stage: Stage) -> None:
    stage.operator.kill()
    stage.apply(video())
    stage.operator.start()
    stage.wait_phase("Preparing")


def test_a_job_deleted_while_the_operator_was_away_is_made_again(stage: Stage) -> None:
    stage.apply(video())
    stage.finish("prepare")
    until_jobs(stage, 4)
    stage.operator.kill()
    name = next(job for job in stage.jobs() if "-r0-" in job)
    stage.cluster.batch.delete_namespaced_job(name, stage.namespace, propagation_policy="Background")
    until_jobs(stage, 3)
    stage.operator.start()
    until_jobs(stage, 4)


def test_an_operator_that_is_told_to_end_does_so_at_once(stage: Stage) -> None:
    stage.apply(video())
    stage.wait_phase("Preparing")
    began = time.monotonic()
    assert stage.operator.stop() == 0
    assert time.monotonic() - began < 5


def test_a_second_operator_waits_for_the_lease_and_takes_over(stage: Stage, tmp_path: Any) -> None:
    import threading

    folder = tmp_path / "second"
    folder.mkdir()
    acting = threading.Event()

    def second() -> None:
        with running_operator(stage.cluster, folder, stage.namespace):
            acting.set()
            taken.wait(60)

    taken = threading.Event()
    thread = threading.Thread(target=second)
    thread.start()
    try:
        assert not acting.wait(6)
        stage.apply(video())
        stage.wait_phase("Preparing")
        log = (folder / "operator.log").read_text().splitlines()
        assert not [line for line in log if "POST" in line and "leases" not in line]
        stage.operator.kill()
        assert acting.wait(20)
        stage.finish("prepare")
        stage.wait_phase("Rendering")
    finally:
        taken.set()
        thread.join(30)
