"""The whole life of a video on a real API server."""

import time
from typing import Any

import pytest
from tests.control_plane.operator_process import Stage, video, wait_until

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.reports import encode_report


def test_a_video_goes_from_apply_to_complete(stage: Stage) -> None:
    stage.apply(video())
    stage.wait_phase("Preparing")
    stage.finish("prepare")
    stage.wait_phase("Rendering")
    for chunk in range(4):
        stage.finish("render", chunk)
    stage.wait_phase("Stitching")
    stage.finish("stitch")
    stage.cluster.kubectl("wait", "-n", stage.namespace, "--for=condition=Complete", "tv/hello", "--timeout=20s")
    stage.cluster.kubectl("wait", "-n", stage.namespace, "--for=condition=Ready", "tv/hello", "--timeout=5s")
    status = stage.status()
    assert status["output"]["frameCount"] == 400
    assert status["chunks"]["summary"] == "4/4"
    table = stage.cluster.kubectl("get", "tv", "-n", stage.namespace)
    assert table.split()[:6] == ["NAME", "PHASE", "PROGRESS", "CHUNKS", "ETA", "AGE"]
    assert table.splitlines()[1].split()[:4] == ["hello", "Succeeded", "100", "4/4"]
    events = stage.cluster.kubectl("describe", "tv/hello", "-n", stage.namespace)
    assert "Succeeded" in events and "chunks are rendered" in events


def test_api_writes_of_a_life_are_few_and_none_follow(stage: Stage) -> None:
    stage.chunks = 6
    stage.apply(video(chunking={"maxParallel": 2}))
    stage.finish_everything()
    stage.wait_phase("Succeeded")
    counted = stage.operator.writes()
    assert sum(counted.values()) <= 2 * 6 + 12, counted
    assert counted["POST jobs"] == 8
    time.sleep(4)
    assert stage.operator.writes() == counted


def test_a_failed_chunk_is_retried_and_the_others_are_not(stage: Stage) -> None:
    stage.apply(video())
    stage.finish("prepare")
    stage.fail(ErrorCode.FFMPEG, "render", 0)
    stage.finish("render", 0, attempt=1)
    for chunk in (1, 2, 3):
        stage.finish("render", chunk)
    stage.finish("stitch")
    stage.wait_phase("Succeeded")
    assert stage.units() == ["prepare-0", "r0-0", "r0-1", "r1-0", "r2-0", "r3-0", "stitch-0"]


def test_what_the_store_has_lost_is_prepared_again(stage: Stage) -> None:
    stage.apply(video())
    stage.finish("prepare")
    stage.fail(ErrorCode.WORKSPACE, "render", 0, retryable=False)
    stage.finish("prepare", attempt=1)
    while stage.status().get("phase") != "Succeeded":
        stage.finish_what_is_pending()
    assert {"prepare-1", "r0-1", "stitch-0"} <= set(stage.units())
    assert "prepared again" in stage.cluster.kubectl("describe", "tv/hello", "-n", stage.namespace)


@pytest.mark.parametrize("container", ["fetch", "process", "publish"])
def test_a_users_error_in_any_container_of_prepare_fails_at_once(stage: Stage, container: str) -> None:
    stage.apply(video())
    stage.fail(ErrorCode.INPUT_VALIDATION, "prepare", container=container)
    status = stage.wait_phase("Failed")
    assert status["failure"]["code"] == "E_INPUT_VALIDATION"
    assert status["failure"]["stage"] == "prepare"
    assert stage.condition("Failed")["reason"] == "InvalidInput"
    assert stage.units() == ["prepare-0"]


def test_an_evicted_pod_is_replaced_within_its_job(stage: Stage) -> None:
    stage.apply(video())
    pod = stage.pod("prepare")
    stage.kubelet.run_pod(pod)
    stage.kubelet.evict_pod(pod)
    stage.finish("prepare")
    stage.wait_phase("Rendering")
    assert "prepare-1" not in stage.units()


def test_suspend_ends_unfinished_work_and_resume_goes_on(stage: Stage) -> None:
    stage.apply(video())
    stage.finish("prepare")
    stage.finish("render", 0)
    wait_until(lambda: stage.chunk_status().get("done") == 1, "chunk 0 is done")
    stage.patch({"spec": {"suspend": True}})
    stage.wait_phase("Suspended")
    wait_until(lambda: stage.units() == ["prepare-0", "r0-0"], "unfinished Jobs are gone")
    stage.patch({"spec": {"suspend": None}})
    stage.wait_phase("Rendering")
    wait_until(lambda: len(stage.units()) == 5, "three Jobs again")
    assert [unit for unit in stage.units() if unit.startswith("r0")] == ["r0-0"]


def test_an_edit_makes_a_new_revision_and_ends_the_old_one(stage: Stage) -> None:
    stage.apply(video())
    stage.finish("prepare")
    before = stage.wait_phase("Rendering")["revision"]
    stage.patch({"spec": {"prompt": "another"}})
    after = wait_until(lambda: (s := stage.status())["revision"] != before and s, "a new revision")
    assert after["phase"] == "Preparing"
    wait_until(lambda: all(after["revision"][:4] in job for job in stage.jobs()), "the old children are gone")
    maps = stage.cluster.core.list_namespaced_config_map(stage.namespace, label_selector="talkingvideo.dev/uid").items
    assert [m.metadata.labels["talkingvideo.dev/revision"] for m in maps] == [after["revision"]]


def test_the_retry_annotation_retries_and_keeps_finished_chunks(stage: Stage) -> None:
    stage.apply(video())
    stage.finish("prepare")
    stage.finish("render", 1)
    wait_until(lambda: stage.chunk_status().get("done") == 1, "chunk 1 is done")
    stage.fail(ErrorCode.STORE_ACCESS, "render", 0)
    stage.wait_phase("Failed")
    stage.patch({"metadata": {"annotations": {"talkingvideo.dev/retry": "once"}}})
    stage.finish("render", 0, attempt=1)
    wait_until(lambda: stage.chunk_status().get("done") == 2, "chunk 0 is done")
    assert [unit for unit in stage.units() if unit.startswith("r1")] == ["r1-0"]


def test_a_dry_run_ends_complete_without_a_gpu(stage: Stage) -> None:
    stage.apply(video(dryRun=True))
    stage.finish("prepare")
    stage.wait_phase("Succeeded")
    assert stage.condition("Complete")["reason"] == "DryRunFinished"
    assert stage.units() == ["prepare-0"]


def test_deleting_the_video_deletes_everything_of_it(stage: Stage) -> Any:
    stage.apply(video())
    stage.finish("prepare")
    wait_until(lambda: len(stage.jobs()) == 4, "render Jobs")
    assert "finalizers" not in stage.get()["metadata"]
    stage.cluster.kubectl("delete", "tv/hello", "-n", stage.namespace, "--timeout=10s")

    def nothing_left() -> bool:
        core = stage.cluster.core
        pods = core.list_namespaced_pod(stage.namespace).items
        maps = core.list_namespaced_config_map(stage.namespace, label_selector="talkingvideo.dev/uid").items
        return not (stage.jobs() or pods or maps)

    wait_until(nothing_left, "Jobs, pods and order are gone")


def test_children_go_after_their_time(stage: Stage) -> None:
    stage.apply(video(dryRun=True, ttlSecondsAfterFinished=1))
    stage.finish("prepare")
    stage.wait_phase("Succeeded")
    wait_until(lambda: not stage.jobs(), "the Jobs are gone")
    assert stage.status()["phase"] == "Succeeded"


def test_the_order_is_immutable_and_holds_the_pinned_values(stage: Stage) -> None:
    import json

    stage.apply(video())
    stage.wait_phase("Preparing")
    maps = stage.cluster.core.list_namespaced_config_map(stage.namespace, label_selector="talkingvideo.dev/uid").items
    assert maps[0].immutable
    order = json.loads(maps[0].data["stage-input.json"])
    uid, revision = order["uid"], stage.status()["revision"]
    work = f"s3://media/work/{stage.namespace}"
    assert order["locations"]["workspace"] == f"{work}/hello-{uid[:8]}/{revision}"
    assert order["locations"]["chunks"] == f"{work}/chunks"
    assert order["locations"]["result"] == f"s3://media/{stage.namespace}/hello-{revision}"
    assert order["effective"] == stage.status()["effective"]


def test_an_order_that_was_deleted_is_there_again_when_chunks_start(stage: Stage) -> None:
    stage.apply(video())
    stage.pod("prepare")
    maps = {"label_selector": "talkingvideo.dev/uid"}
    stage.cluster.core.delete_collection_namespaced_config_map(stage.namespace, **maps)
    stage.finish("prepare")
    stage.pod("render", 0)
    assert len(stage.cluster.core.list_namespaced_config_map(stage.namespace, **maps).items) == 1


def test_a_job_that_only_looks_like_a_child_stops_nobody(stage: Stage) -> None:
    labels = {"app.kubernetes.io/managed-by": "talkingvideo-operator", "talkingvideo.dev/uid": "x"}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}
    impostor = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "impostor", "labels": labels}}
    stage.apply({**impostor, "spec": {"suspend": True, "template": template}})
    stage.operator.stop()
    stage.operator.start()
    stage.apply(video())
    stage.wait_phase("Preparing")


def test_a_deleted_job_is_made_again(stage: Stage) -> None:
    stage.apply(video())
    stage.finish("prepare")
    wait_until(lambda: len(stage.jobs()) == 4, "render Jobs")
    uid = stage.cluster.batch.list_namespaced_job(stage.namespace, label_selector="talkingvideo.dev/chunk=0").items[0]
    stage.cluster.batch.delete_namespaced_job(uid.metadata.name, stage.namespace, propagation_policy="Background")
    wait_until(
        lambda: any(
            job.metadata.uid != uid.metadata.uid
            for job in stage.cluster.batch.list_namespaced_job(
                stage.namespace, label_selector="talkingvideo.dev/chunk=0"
            ).items
        ),
        "another Job for chunk 0",
    )


def test_the_probe_says_that_the_operator_lives(stage: Stage) -> None:
    assert stage.operator.healthy()


def test_the_probe_fails_when_the_reconciler_shows_no_life(stage: Stage) -> None:
    stage.operator.stop()
    stage.operator.config["staleSeconds"] = 0.001
    stage.operator.start()
    time.sleep(0.1)
    assert not stage.operator.healthy()


def test_together_videos_render_no_more_than_the_cluster_allows(stage: Stage) -> None:
    stage.operator.stop()
    stage.operator.config |= {"maxParallel": 3, "progressSeconds": 0.5}
    stage.operator.start()
    for name in ("hello", "later"):
        stage.apply(video(name, chunking={"maxParallel": 2}))
        stage.wait_phase("Preparing", name)
    for _ in range(2):
        stage.finish("prepare")
    wait_until(lambda: sum("-r" in job for job in stage.jobs()) == 3, "three chunks at once")
    time.sleep(2)
    rendering = [job.rpartition("-r")[0] for job in stage.jobs() if "-r" in job]
    assert len(rendering) == 3
    pod = stage.pod("render")
    stage.kubelet.finish_pod(pod, message=encode_report(stage.report("render", _chunk_of(pod))))
    wait_until(lambda: sum("-r" in job for job in stage.jobs()) == 4, "the freed place is taken")


def _chunk_of(pod: Any) -> int:
    return int(pod.metadata.labels["talkingvideo.dev/chunk"])


def test_a_quota_that_forbids_jobs_is_told_as_an_event(stage: Stage) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/jobs.batch": "0"}},
    }
    stage.apply(quota)
    wait_until(
        lambda: stage.cluster.core.read_namespaced_resource_quota("none", stage.namespace).status.hard, "the quota"
    )
    stage.apply(video())
    stage.wait_phase("Preparing")
    wait_until(
        lambda: "CreateRefused" in stage.cluster.kubectl("describe", "tv/hello", "-n", stage.namespace), "the event"
    )
    stage.cluster.kubectl("delete", "resourcequota/none", "-n", stage.namespace)
    stage.pod("prepare")


def test_pods_wait_visibly_for_what_they_lack(stage: Stage) -> None:
    stage.operator.stop()
    stage.operator.config |= {"waitingSeconds": 1, "progressSeconds": 0.5}
    stage.operator.config["profiles"]["default"]["prepare"] = {"nodeSelector": {"no": "such-node"}}
    stage.operator.start()
    stage.apply(video())
    wait_until(
        lambda: stage.status().get("conditions") and stage.condition("Ready")["reason"] == "Unschedulable", "why"
    )
    assert "node" in stage.condition("Ready")["message"]
