"""Manifests: what pods may and may not have."""

from dataclasses import replace
from typing import Any

import pytest
from tests.operator.fake_cluster import FakeCluster, body, config, spec

from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile
from talkingvideo_api.spec import Resources
from talkingvideo_api.stage_input import StageInput
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.jobs import PERMANENT_STATUSES, build_job
from talkingvideo_operator.builders.stage_input import build_config_map, build_stage_input
from talkingvideo_operator.planning.decision import CreateJob


def context(profile: Any = None, metadata: Any = None, **changes: Any) -> Any:
    settings = config(profile=profile or {})
    cluster = FakeCluster(settings=settings, document=spec(**changes))
    cluster.video = Video.of(body(spec(**changes), **(metadata or {})))
    cluster.reconcile()
    assert cluster.phase == "Preparing", cluster.status.failure
    return BuildContext(cluster.video, cluster.video.spec, cluster.status.effective, settings.profiles["default"])


def pod(ctx: Any, stage: Any = Stage.PREPARE, chunk: Any = None) -> Any:
    return build_job(ctx, CreateJob(stage, 0, chunk))["spec"]["template"]["spec"]


def containers(pod_spec: Any) -> Any:
    return {c["name"]: c for c in [*pod_spec.get("initContainers", []), *pod_spec["containers"]]}


def env(container: Any) -> Any:
    return {e["name"]: e for e in container["env"]}


@pytest.mark.parametrize("stage", list(Stage))
def test_pods_meet_the_restricted_standard_and_hold_no_kubernetes_credential(stage: Any) -> None:
    made = pod(context(), stage, 0)
    assert made["automountServiceAccountToken"] is False
    assert made["restartPolicy"] == "Never"
    security = made["securityContext"]
    assert security["runAsNonRoot"] and security["runAsUser"] == 65532
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(made).values():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["terminationMessagePolicy"] == "File"
        assert container["resources"]["limits"]["memory"]
    scratch = next(v for v in made["volumes"] if v["name"] == "scratch")
    assert scratch["emptyDir"]["sizeLimit"] == "10Gi"


def test_the_container_that_parses_strangers_media_has_no_credentials() -> None:
    made = containers(pod(context()))
    assert list(made) == ["fetch", "process", "publish"]
    assert "AWS_ACCESS_KEY_ID" in env(made["fetch"])
    assert "AWS_ACCESS_KEY_ID" in env(made["publish"])
    assert not [name for name in env(made["process"]) if name.startswith("AWS")]


@pytest.mark.parametrize("stage", list(Stage))
def test_models_libraries_are_told_to_ask_no_hub(stage: Any) -> None:
    for container in containers(pod(context(), stage, 0)).values():
        assert env(container)["HF_HUB_OFFLINE"]["value"] == "1"


def test_the_cloud_identity_is_kept_from_that_container_too() -> None:
    store = {"default": {"s3": {"bucket": "media", "serviceAccountName": "media-writer"}}}
    template = build_job(context({"stores": store}), CreateJob(Stage.PREPARE, 0))["spec"]["template"]
    assert template["spec"]["serviceAccountName"] == "media-writer"
    assert template["metadata"]["annotations"]["eks.amazonaws.com/skip-containers"] == "process"


def test_the_deadline_is_the_pods_and_not_the_jobs() -> None:
    job = build_job(context(), CreateJob(Stage.RENDER, 0, 0))
    assert "activeDeadlineSeconds" not in job["spec"]
    assert job["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 21_600


def test_a_disrupted_pod_is_ignored_before_exit_codes_are_looked_at() -> None:
    job = build_job(context(), CreateJob(Stage.RENDER, 0, 0))
    first, second = job["spec"]["podFailurePolicy"]["rules"]
    assert (first["action"], second["action"]) == ("Ignore", "FailJob")
    assert second["onExitCodes"]["values"] == PERMANENT_STATUSES == [10, 11, 12, 13]
    assert job["spec"]["backoffLimit"] == 0


def test_only_render_pods_ask_for_the_gpu_of_the_profile() -> None:
    ctx = context({"gpu": {"resource": "amd.com/gpu"}})
    assert pod(ctx, Stage.RENDER, 0)["containers"][0]["resources"]["limits"]["amd.com/gpu"] == "1"
    assert "amd.com/gpu" not in pod(ctx, Stage.STITCH)["containers"][0]["resources"]["limits"]
    assert "nvidia.com/gpu" not in pod(context({"gpu": None}), Stage.RENDER, 0)["containers"][0]["resources"]["limits"]


def test_kueue_gets_suspended_jobs_with_its_label() -> None:
    job = build_job(context(queueName="gpu"), CreateJob(Stage.RENDER, 0, 0))
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    assert build_job(context(), CreateJob(Stage.RENDER, 0, 0))["spec"]["suspend"] is False


def test_inputs_are_mounted_read_only_into_fetch_alone() -> None:
    ctx = context(
        {"allow": {"claims": ["inputs"], "secrets": ["auth"]}},
        source={"image": {"uri": "pvc://inputs/a.png"}},
        speech={
            "speakers": [
                {"audio": {"uri": "configmap://sounds/a.wav"}},
                {"audio": {"uri": "https://e.com/a.wav", "headersSecretName": "auth"}},
            ]
        },
        render={"loras": [{"uri": "configmap://loras/a.safetensors"}]},
    )
    made = containers(pod(ctx))
    mounts = {m["mountPath"]: m["readOnly"] for m in made["fetch"]["volumeMounts"]}
    inputs = {"/mnt/claims/inputs", "/mnt/configmaps/sounds", "/mnt/configmaps/loras", "/mnt/headers/auth"}
    assert all(mounts[path] for path in inputs)
    for name in ("process", "publish"):
        assert not inputs & {m["mountPath"] for m in made[name]["volumeMounts"]}


def test_a_volume_workspace_is_written_by_publish_and_not_seen_by_process() -> None:
    ctx = context(
        {"stores": {"default": {"pvc": {"claim": "media", "path": "tv"}}}},
        speech={"speakers": [{"audio": {"uri": "https://e.com/a.wav"}}]},
    )
    made = containers(pod(ctx))
    assert {"name": "claim-media", "mountPath": "/mnt/claims/media", "readOnly": False} in made["publish"][
        "volumeMounts"
    ]
    assert "/mnt/claims/media" not in {m["mountPath"] for m in made["process"]["volumeMounts"]}


def test_the_same_claim_for_workspace_and_result_is_mounted_once() -> None:
    ctx = context(
        {"stores": {"default": {"pvc": {"claim": "media"}}}, "allow": {"claims": ["media"]}},
        output={"pvc": {"claim": "media", "path": "out"}},
        speech={"speakers": [{"audio": {"uri": "https://e.com/a.wav"}}]},
    )
    volumes = [v["name"] for v in pod(ctx, Stage.STITCH)["volumes"]]
    assert volumes.count("claim-media") == 1


def test_publish_may_look_whether_a_result_on_a_volume_is_there_and_may_not_write_it() -> None:
    ctx = context({"allow": {"claims": ["films"]}}, output={"pvc": {"claim": "films"}})
    (publish,) = pod(ctx, Stage.PREPARE)["containers"]
    mounts = {mount["mountPath"]: mount["readOnly"] for mount in publish["volumeMounts"]}
    assert mounts["/mnt/claims/films"] is True
    assert "claim-films" in [volume["name"] for volume in pod(ctx, Stage.PREPARE)["volumes"]]


def test_overrides_change_render_pods_only() -> None:
    allow = {"overrides": ["nodeSelector", "tolerations", "resources"]}
    overrides = {
        "nodeSelector": {"gpu": "big"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "resources": {"limits": {"memory": "9Gi"}},
    }
    ctx = context({"allow": allow}, overrides=overrides)
    render = pod(ctx, Stage.RENDER, 0)
    assert render["nodeSelector"] == {"gpu": "big"}
    assert render["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert render["containers"][0]["resources"]["limits"]["memory"] == "9Gi"
    assert "nodeSelector" not in pod(ctx, Stage.PREPARE)


def test_children_are_named_labelled_and_owned() -> None:
    job = build_job(context(metadata={"name": "a" * 60}), CreateJob(Stage.RENDER, 12, 499))
    meta = job["metadata"]
    assert len(meta["name"]) <= 63
    assert meta["annotations"]["talkingvideo.dev/object"] == "a" * 60
    owner = meta["ownerReferences"][0]
    assert owner["controller"] is True and owner["blockOwnerDeletion"] is False
    assert all(len(value) <= 63 for value in meta["labels"].values())


@pytest.mark.parametrize(
    ("output", "profile", "result"),
    [
        ({}, {}, "s3://media/ns/hello-{revision}"),
        ({"name": "{namespace}/{date}/{name}"}, {}, "s3://media/ns/2026-01-01/hello"),
        ({"s3": {"prefix": "films"}}, {"allow": {"outputPrefixes": ["films"]}}, "s3://media/films/ns/hello-{revision}"),
        ({"s3": {"bucket": "out-b"}}, {"allow": {"outputBuckets": ["*"]}}, "s3://out-b/ns/hello-{revision}"),
        ({"pvc": {"claim": "c", "path": "a/"}}, {"allow": {"claims": ["c"]}}, "pvc://c/a/ns/hello-{revision}"),
    ],
)
def test_places_of_the_result(output: Any, profile: Any, result: Any) -> None:
    ctx = context(profile, output=output)
    stage_input = build_stage_input(ctx.video, ctx.spec, ctx.effective, ctx.profile)
    assert stage_input.locations.result == result.format(revision=ctx.video.revision)
    assert stage_input.locations.workspace == f"s3://media/work/ns/hello-11111111/{ctx.video.revision}"
    assert stage_input.locations.chunks == "s3://media/work/ns/chunks"


def test_the_order_can_be_read_back_from_its_immutable_config_map() -> None:
    ctx = context()
    stage_input = build_stage_input(ctx.video, ctx.spec, ctx.effective, ctx.profile)
    made = build_config_map(ctx.video, stage_input)
    assert made["immutable"] is True
    assert StageInput.model_validate_json(made["data"]["stage-input.json"]) == stage_input


def mounted(container: Any) -> Any:
    return {mount["mountPath"]: mount["readOnly"] for mount in container["volumeMounts"]}


def test_weights_are_read_where_models_run_and_nowhere_else() -> None:
    ctx = context({"weightsClaim": "models", "weightsPath": "/models"})
    prepare, render = containers(pod(ctx)), containers(pod(ctx, Stage.RENDER, 0))
    for container in (prepare["process"], render["render"]):
        assert mounted(container)["/models"] is True
        assert env(container)["TALKINGVIDEO_WEIGHTS"]["value"] == "/models"
    for container in (prepare["fetch"], prepare["publish"], containers(pod(ctx, Stage.STITCH))["stitch"]):
        assert "/models" not in mounted(container)
        assert "TALKINGVIDEO_WEIGHTS" not in env(container)
    for stage in (Stage.PREPARE, Stage.RENDER):
        claims = [v["persistentVolumeClaim"] for v in pod(ctx, stage, 0)["volumes"] if v["name"] == "weights"]
        assert claims == [{"claimName": "models", "readOnly": True}]
    assert "weights" not in [volume["name"] for volume in pod(ctx, Stage.STITCH)["volumes"]]


def test_several_gpus_share_memory_of_the_size_that_the_profile_gives() -> None:
    ctx = context({"sharedMemory": "3Gi"})
    several = replace(ctx, effective=ctx.effective.model_copy(update={"gpus_per_chunk": 2}))
    made = pod(several, Stage.RENDER, 0)
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "3Gi"}} in made["volumes"]
    assert mounted(made["containers"][0])["/dev/shm"] is False
    assert made["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    for other in (pod(ctx, Stage.RENDER, 0), pod(several), pod(several, Stage.STITCH)):
        assert "shm" not in [volume["name"] for volume in other["volumes"]]


def test_compiled_kernels_are_kept_on_the_claim_or_else_in_scratch() -> None:
    kept = pod(context({"compileCacheClaim": "kernels"}), Stage.RENDER, 0)
    assert {"name": "compile-cache", "persistentVolumeClaim": {"claimName": "kernels"}} in kept["volumes"]
    lost = pod(context(), Stage.RENDER, 0)
    assert "compile-cache" not in [volume["name"] for volume in lost["volumes"]]
    for made, root in ((kept, "/compile-cache"), (lost, "/scratch")):
        (container,) = made["containers"]
        for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
            assert env(container)[name]["value"].startswith(f"{root}/")
        assert mounted(container)[root] is False
    assert "TRITON_CACHE_DIR" not in env(containers(pod(context()))["process"])


def test_pods_of_a_profile_without_sizes_have_room_for_its_engine() -> None:
    stores = {"default": {"s3": {"bucket": "b"}}}

    def memory(engine: Any) -> Any:
        profile = Profile.model_validate({"workerImage": "w", "engine": engine, "stores": stores})
        return [(stage.resources.limits or {})["memory"] for stage in (profile.prepare, profile.render)]

    assert memory("preview") == ["2Gi", "4Gi"]
    assert memory("infinitetalk") == ["4Gi", "64Gi"]
    own = Profile.model_validate({"workerImage": "w", "stores": stores, "render": {"attempts": 2}})
    assert (own.render.attempts, own.render.resources) == (2, Resources())
