"""Volumes: which containers see them, and which may write."""

from dataclasses import replace
from typing import Any

from tests.operator.builders.manifests import containers, context, env, pod

from talkingvideo_api.names import Stage


def test_inputs_are_mounted_read_only_into_fetch_alone() -> None:
    ctx = context(
        {"allow": {"claims": ["inputs"], "secrets": [{"name": "auth", "hosts": ["e.com"]}]}},
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


def test_publish_sees_the_results_volume_and_may_not_write_to_it() -> None:
    ctx = context({"allow": {"claims": ["films"]}}, output={"pvc": {"claim": "films"}})
    (publish,) = pod(ctx, Stage.PREPARE)["containers"]
    mounts = {mount["mountPath"]: mount["readOnly"] for mount in publish["volumeMounts"]}
    assert mounts["/mnt/claims/films"] is True
    assert "claim-films" in [volume["name"] for volume in pod(ctx, Stage.PREPARE)["volumes"]]


def mounted(container: Any) -> Any:
    return {mount["mountPath"]: mount["readOnly"] for mount in container["volumeMounts"]}


def test_weights_are_mounted_where_models_run_and_nowhere_else() -> None:
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


def test_compiled_kernels_are_kept_on_the_claim_or_in_scratch() -> None:
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
