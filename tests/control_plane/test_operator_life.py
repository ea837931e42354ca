"""The life of a video on a real API server."""

import time
from typing import Any

import pytest
from tests.control_plane.operator_process import Sandbox, video, wait_until

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.reports import encode_report


def test_a_video_goes_from_apply_to_complete(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.wait_phase("Preparing")
    sandbox.finish("prepare")
    sandbox.wait_phase("Rendering")
    for chunk in range(4):
        sandbox.finish("render", chunk)
    sandbox.wait_phase("Stitching")
    sandbox.finish("stitch")
    sandbox.cluster.kubectl("wait", "-n", sandbox.namespace, "--for=condition=Complete", "tv/hello", "--timeout=20s")
    sandbox.cluster.kubectl("wait", "-n", sandbox.namespace, "--for=condition=Ready", "tv/hello", "--timeout=5s")
    status = sandbox.status()
    assert status["output"]["frameCount"] == 400
    assert status["chunks"]["summary"] == "4/4"
    table = sandbox.cluster.kubectl("get", "tv", "-n", sandbox.namespace)
    assert table.split()[:6] == ["NAME", "PHASE", "PROGRESS", "CHUNKS", "ETA", "AGE"]
    assert table.splitlines()[1].split()[:4] == ["hello", "Succeeded", "100", "4/4"]
    events = sandbox.cluster.kubectl("describe", "tv/hello", "-n", sandbox.namespace)
    assert "Succeeded" in events and "chunks are rendered" in events


def test_api_writes_of_a_life_are_few_and_none_follow(sandbox: Sandbox) -> None:
    sandbox.chunks = 6
    sandbox.apply(video(chunking={"maxParallel": 2}))
    sandbox.finish_everything()
    sandbox.wait_phase("Succeeded")
    counted = sandbox.operator.writes()
    assert sum(counted.values()) <= 2 * 6 + 12, counted
    assert counted["POST jobs"] == 8
    time.sleep(4)
    assert sandbox.operator.writes() == counted


def test_a_failed_chunk_is_retried_and_the_others_are_not(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.finish("prepare")
    sandbox.fail(ErrorCode.FFMPEG, "render", 0)
    sandbox.finish("render", 0, attempt=1)
    for chunk in (1, 2, 3):
        sandbox.finish("render", chunk)
    sandbox.finish("stitch")
    sandbox.wait_phase("Succeeded")
    assert sandbox.units() == ["prepare-0", "r0-0", "r0-1", "r1-0", "r2-0", "r3-0", "stitch-0"]


def test_a_video_whose_files_the_store_has_lost_is_prepared_again(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.finish("prepare")
    sandbox.fail(ErrorCode.WORKSPACE, "render", 0, retryable=False)
    sandbox.finish("prepare", attempt=1)
    while sandbox.status().get("phase") != "Succeeded":
        sandbox.finish_what_is_pending()
    assert {"prepare-1", "r0-1", "stitch-0"} <= set(sandbox.units())
    assert "prepared again" in sandbox.cluster.kubectl("describe", "tv/hello", "-n", sandbox.namespace)


@pytest.mark.parametrize("container", ["fetch", "process", "publish"])
def test_a_users_error_in_any_container_of_prepare_fails_at_once(sandbox: Sandbox, container: str) -> None:
    sandbox.apply(video())
    sandbox.fail(ErrorCode.INPUT_VALIDATION, "prepare", container=container)
    status = sandbox.wait_phase("Failed")
    assert status["failure"]["code"] == "E_INPUT_VALIDATION"
    assert status["failure"]["stage"] == "prepare"
    assert sandbox.condition("Failed")["reason"] == "InvalidInput"
    assert sandbox.units() == ["prepare-0"]


def test_an_evicted_pod_is_replaced_within_its_job(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    pod = sandbox.pod("prepare")
    sandbox.kubelet.run_pod(pod)
    sandbox.kubelet.evict_pod(pod)
    sandbox.finish("prepare")
    sandbox.wait_phase("Rendering")
    assert "prepare-1" not in sandbox.units()


def test_suspend_ends_unfinished_work_and_resume_continues_it(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.finish("prepare")
    sandbox.finish("render", 0)
    wait_until(lambda: sandbox.chunk_status().get("done") == 1, "chunk 0 is done")
    sandbox.patch({"spec": {"suspend": True}})
    sandbox.wait_phase("Suspended")
    wait_until(lambda: sandbox.units() == ["prepare-0", "r0-0"], "unfinished Jobs are gone")
    sandbox.patch({"spec": {"suspend": None}})
    sandbox.wait_phase("Rendering")
    wait_until(lambda: len(sandbox.units()) == 5, "three Jobs again")
    assert [unit for unit in sandbox.units() if unit.startswith("r0")] == ["r0-0"]


def test_cancel_ends_a_video_for_good_until_it_is_taken_back_and_a_retry_is_requested(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.finish("prepare")
    sandbox.finish("render", 0)
    wait_until(lambda: sandbox.chunk_status().get("done") == 1, "chunk 0 is done")
    sandbox.patch({"spec": {"cancel": True}})
    status = sandbox.wait_phase("Cancelled")
    assert status["chunks"]["summary"] == "1/4"
    kubectl = sandbox.cluster.kubectl
    for each in (
        "condition=Cancelled",
        "condition=Stalled",
        "condition=Failed=False",
        "jsonpath={.status.completionTime}",
    ):
        kubectl("wait", "-n", sandbox.namespace, f"--for={each}", "tv/hello", "--timeout=5s")
    wait_until(lambda: sandbox.units() == ["prepare-0", "r0-0"], "unfinished Jobs are gone")
    pods = sandbox.cluster.core.list_namespaced_pod
    wait_until(lambda: len(pods(sandbox.namespace).items) == 2, "their pods are gone")
    assert "Cancelled" in kubectl("describe", "tv/hello", "-n", sandbox.namespace)
    sandbox.patch({"spec": {"cancel": None}, "metadata": {"annotations": {"talkingvideo.dev/retry": "once"}}})
    sandbox.wait_phase("Rendering")
    wait_until(lambda: len(sandbox.units()) == 5, "three Jobs again")
    assert [unit for unit in sandbox.units() if unit.startswith("r0")] == ["r0-0"]


def test_an_edit_makes_a_new_revision_and_ends_the_old_one(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.finish("prepare")
    before = sandbox.wait_phase("Rendering")["revision"]
    sandbox.patch({"spec": {"prompt": "another"}})
    after = wait_until(lambda: (s := sandbox.status())["revision"] != before and s, "a new revision")
    assert after["phase"] == "Preparing"
    wait_until(lambda: all(after["revision"][:4] in job for job in sandbox.jobs()), "the old children are gone")
    maps = sandbox.cluster.core.list_namespaced_config_map(
        sandbox.namespace, label_selector="talkingvideo.dev/uid"
    ).items
    assert [m.metadata.labels["talkingvideo.dev/revision"] for m in maps] == [after["revision"]]


def test_the_retry_annotation_retries_and_keeps_finished_chunks(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.finish("prepare")
    sandbox.finish("render", 1)
    wait_until(lambda: sandbox.chunk_status().get("done") == 1, "chunk 1 is done")
    sandbox.fail(ErrorCode.STORE_ACCESS, "render", 0)
    sandbox.wait_phase("Failed")
    sandbox.patch({"metadata": {"annotations": {"talkingvideo.dev/retry": "once"}}})
    sandbox.finish("render", 0, attempt=1)
    wait_until(lambda: sandbox.chunk_status().get("done") == 2, "chunk 0 is done")
    assert [unit for unit in sandbox.units() if unit.startswith("r1")] == ["r1-0"]


def test_a_dry_run_ends_complete_without_a_gpu(sandbox: Sandbox) -> None:
    sandbox.apply(video(dryRun=True))
    sandbox.finish("prepare")
    sandbox.wait_phase("Succeeded")
    assert sandbox.condition("Complete")["reason"] == "DryRunFinished"
    assert sandbox.units() == ["prepare-0"]


def test_deleting_the_video_deletes_its_children(sandbox: Sandbox) -> Any:
    sandbox.apply(video())
    sandbox.finish("prepare")
    wait_until(lambda: len(sandbox.jobs()) == 4, "render Jobs")
    assert "finalizers" not in sandbox.get()["metadata"]
    sandbox.cluster.kubectl("delete", "tv/hello", "-n", sandbox.namespace, "--timeout=10s")

    def nothing_left() -> bool:
        core = sandbox.cluster.core
        pods = core.list_namespaced_pod(sandbox.namespace).items
        maps = core.list_namespaced_config_map(sandbox.namespace, label_selector="talkingvideo.dev/uid").items
        return not (sandbox.jobs() or pods or maps)

    wait_until(nothing_left, "Jobs, pods and stage input are gone")


def test_children_are_deleted_when_their_time_is_over(sandbox: Sandbox) -> None:
    sandbox.apply(video(dryRun=True, ttlSecondsAfterFinished=1))
    sandbox.finish("prepare")
    sandbox.wait_phase("Succeeded")
    wait_until(lambda: not sandbox.jobs(), "the Jobs are gone")
    assert sandbox.status()["phase"] == "Succeeded"


def test_the_stage_input_is_immutable_and_holds_the_effective_values(sandbox: Sandbox) -> None:
    import json

    sandbox.apply(video())
    sandbox.wait_phase("Preparing")
    maps = sandbox.cluster.core.list_namespaced_config_map(
        sandbox.namespace, label_selector="talkingvideo.dev/uid"
    ).items
    assert maps[0].immutable
    stage_input = json.loads(maps[0].data["stage-input.json"])
    uid, revision = stage_input["uid"], sandbox.status()["revision"]
    work = f"s3://media/.work/{sandbox.namespace}"
    assert stage_input["locations"]["workspace"] == f"{work}/hello-{uid[:8]}/{revision}"
    assert stage_input["locations"]["chunks"] == f"{work}/chunks"
    assert stage_input["locations"]["result"] == f"s3://media/{sandbox.namespace}/hello-{revision}"
    assert stage_input["effective"] == sandbox.status()["effective"]


def test_a_deleted_stage_input_exists_again_when_chunks_start(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.pod("prepare")
    maps = {"label_selector": "talkingvideo.dev/uid"}
    sandbox.cluster.core.delete_collection_namespaced_config_map(sandbox.namespace, **maps)
    sandbox.finish("prepare")
    sandbox.pod("render", 0)
    assert len(sandbox.cluster.core.list_namespaced_config_map(sandbox.namespace, **maps).items) == 1


def test_a_job_with_invalid_labels_does_not_stop_the_operator(sandbox: Sandbox) -> None:
    labels = {"app.kubernetes.io/managed-by": "talkingvideo-operator", "talkingvideo.dev/uid": "x"}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}
    impostor = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "impostor", "labels": labels}}
    sandbox.apply({**impostor, "spec": {"suspend": True, "template": template}})
    sandbox.operator.stop()
    sandbox.operator.start()
    sandbox.apply(video())
    sandbox.wait_phase("Preparing")


def test_a_deleted_job_is_created_again(sandbox: Sandbox) -> None:
    sandbox.apply(video())
    sandbox.finish("prepare")
    wait_until(lambda: len(sandbox.jobs()) == 4, "render Jobs")
    uid = sandbox.cluster.batch.list_namespaced_job(sandbox.namespace, label_selector="talkingvideo.dev/chunk=0").items[
        0
    ]
    sandbox.cluster.batch.delete_namespaced_job(uid.metadata.name, sandbox.namespace, propagation_policy="Background")
    wait_until(
        lambda: any(
            job.metadata.uid != uid.metadata.uid
            for job in sandbox.cluster.batch.list_namespaced_job(
                sandbox.namespace, label_selector="talkingvideo.dev/chunk=0"
            ).items
        ),
        "another Job for chunk 0",
    )


def test_the_probe_succeeds_while_the_operator_runs(sandbox: Sandbox) -> None:
    assert sandbox.operator.healthy()


def test_the_probe_fails_when_the_reconciler_is_inactive(sandbox: Sandbox) -> None:
    sandbox.operator.stop()
    sandbox.operator.config["staleSeconds"] = 0.001
    sandbox.operator.start()
    time.sleep(0.1)
    assert not sandbox.operator.healthy()


def test_together_videos_render_no_more_than_the_cluster_allows(sandbox: Sandbox) -> None:
    sandbox.operator.stop()
    sandbox.operator.config |= {"maxParallel": 3, "progressSeconds": 0.5}
    sandbox.operator.start()
    for name in ("hello", "later"):
        sandbox.apply(video(name, chunking={"maxParallel": 2}))
        sandbox.wait_phase("Preparing", name)
    for _ in range(2):
        sandbox.finish("prepare")
    wait_until(lambda: sum("-r" in job for job in sandbox.jobs()) == 3, "three chunks at once")
    time.sleep(2)
    rendering = [job.rpartition("-r")[0] for job in sandbox.jobs() if "-r" in job]
    assert len(rendering) == 3
    pod = sandbox.pod("render")
    sandbox.kubelet.finish_pod(pod, message=encode_report(sandbox.report(pod)))
    wait_until(lambda: sum("-r" in job for job in sandbox.jobs()) == 4, "the free slot is taken")


def test_a_quota_that_forbids_jobs_is_recorded_as_an_event(sandbox: Sandbox) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    sandbox.apply(quota)
    wait_until(
        lambda: sandbox.cluster.core.read_namespaced_resource_quota("none", sandbox.namespace).status.hard, "the quota"
    )
    sandbox.apply(video())
    sandbox.wait_phase("Preparing")
    wait_until(
        lambda: "CreateRefused" in sandbox.cluster.kubectl("describe", "tv/hello", "-n", sandbox.namespace), "the event"
    )
    sandbox.cluster.kubectl("delete", "resourcequota/none", "-n", sandbox.namespace)
    sandbox.pod("prepare")


def test_conditions_say_why_a_pod_cannot_be_scheduled(sandbox: Sandbox) -> None:
    sandbox.operator.stop()
    sandbox.operator.config |= {"waitingSeconds": 1, "progressSeconds": 0.5}
    sandbox.operator.config["profiles"]["default"]["prepare"] = {"nodeSelector": {"no": "such-node"}}
    sandbox.operator.start()
    sandbox.apply(video())
    wait_until(
        lambda: sandbox.status().get("conditions") and sandbox.condition("Ready")["reason"] == "Unschedulable", "why"
    )
    assert "node" in sandbox.condition("Ready")["message"]
