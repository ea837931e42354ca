"""Pods: what their containers may and may not have."""

from typing import Any

import pytest
from tests.operator.builders.manifests import containers, context, env, pod

from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile
from talkingvideo_api.spec import Resources
from talkingvideo_operator.builders.jobs import build_job
from talkingvideo_operator.planning.decision import CreateJob


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
    assert "10Gi" in [v["emptyDir"]["sizeLimit"] for v in made["volumes"] if v["name"].startswith("scratch-")]


def test_the_container_that_parses_untrusted_media_has_no_credentials() -> None:
    made = containers(pod(context()))
    assert list(made) == ["fetch", "process", "publish"]
    assert "AWS_ACCESS_KEY_ID" in env(made["fetch"])
    assert "AWS_ACCESS_KEY_ID" in env(made["publish"])
    assert {name for name in env(made["process"]) if name.startswith("AWS")} == {
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_EC2_METADATA_DISABLED",
    }


@pytest.mark.parametrize("stage", list(Stage))
def test_model_libraries_run_offline(stage: Any) -> None:
    for container in containers(pod(context(), stage, 0)).values():
        assert env(container)["HF_HUB_OFFLINE"]["value"] == "1"


def test_the_cloud_identity_is_kept_from_the_container_that_parses_untrusted_media() -> None:
    store = {"default": {"s3": {"bucket": "media", "serviceAccountName": "media-writer"}}}
    template = build_job(context({"stores": store}), CreateJob(Stage.PREPARE, 0))["spec"]["template"]
    assert template["spec"]["serviceAccountName"] == "media-writer"
    assert template["metadata"]["annotations"]["eks.amazonaws.com/skip-containers"] == "process"


def test_only_render_pods_request_the_gpu_of_the_profile() -> None:
    ctx = context({"gpu": {"resource": "amd.com/gpu"}})
    assert pod(ctx, Stage.RENDER, 0)["containers"][0]["resources"]["limits"]["amd.com/gpu"] == "1"
    assert "amd.com/gpu" not in pod(ctx, Stage.STITCH)["containers"][0]["resources"]["limits"]
    assert "nvidia.com/gpu" not in pod(context({"gpu": None}), Stage.RENDER, 0)["containers"][0]["resources"]["limits"]


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


def test_pods_of_a_profile_without_resources_have_enough_memory_for_its_engine() -> None:
    stores = {"default": {"s3": {"bucket": "b"}}}

    def memory(engine: Any) -> Any:
        profile = Profile.model_validate({"workerImage": "w", "engine": engine, "stores": stores})
        return [(stage.resources.limits or {})["memory"] for stage in (profile.prepare, profile.render)]

    assert memory("preview") == ["2Gi", "4Gi"]
    assert memory("infinitetalk") == ["4Gi", "64Gi"]
    own = Profile.model_validate({"workerImage": "w", "stores": stores, "render": {"attempts": 2}})
    assert (own.render.attempts, own.render.resources) == (2, Resources())
