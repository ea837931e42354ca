"""The product installed on a real node as a user would: Helm, a store that checks signatures, kubectl."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.cluster.binaries import binary
from tests.cluster.cluster import Cluster, KubectlError
from tests.cluster.images import BuiltImage, Image, image_name, torch_worker
from tests.cluster.node import RealNode
from tests.cluster.s3 import S3Server

CHART = Path(__file__).parents[2] / "charts" / "talkingvideo"
SYSTEM = "talkingvideo-system"
RELEASE = "talkingvideo"
STORE_SECRET = "talkingvideo-s3"
WEIGHTS_CLAIM = "weights"


@dataclass(frozen=True)
class Installation:
    """The running operator and its store.

    Attributes:
        cluster: Access as an administrator.
        server: The store's server.
        bucket: The store's bucket.
    """

    cluster: Cluster
    server: S3Server
    bucket: str

    def give_credentials(self, namespace: str) -> None:
        """Put the store's Secret into a namespace."""
        keys = self.server.owner
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": STORE_SECRET},
            "stringData": {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key},
        }
        self.cluster.apply(secret, namespace=namespace)

    def give_weights(self, namespace: str, folder: Path) -> None:
        """Offer a folder of this machine as the namespace's volume of weights."""
        size = {"storage": "1Gi"}
        shared: dict[str, Any] = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"weights-{namespace}"},
            "spec": {
                **shared,
                "capacity": size,
                "hostPath": {"path": str(folder), "type": "Directory"},
                "claimRef": {"namespace": namespace, "name": WEIGHTS_CLAIM},
                "persistentVolumeReclaimPolicy": "Retain",
            },
        }
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": WEIGHTS_CLAIM},
            "spec": {**shared, "volumeName": f"weights-{namespace}", "resources": {"requests": size}},
        }
        self.cluster.apply(volume)
        self.cluster.apply(claim, namespace=namespace)

    def wait_until_complete(self, namespace: str, name: str, seconds: int = 180) -> dict[str, Any]:
        """``kubectl wait``; returns the finished object, or shows all there is to see."""
        kubectl = self.cluster.kubectl
        try:
            condition = ("--for=condition=Complete", f"tv/{name}", f"--timeout={seconds}s")
            kubectl("-n", namespace, "wait", *condition, timeout=seconds + 20)
        except KubectlError:
            for what in (("tv,jobs,pods", "-o", "wide"), ("tv", name, "-o", "jsonpath={.status}"), ("events",)):
                print(kubectl("-n", namespace, "get", *what))
            raise
        finished: dict[str, Any] = json.loads(kubectl("-n", namespace, "get", "tv", name, "-o", "json"))
        return finished

    @contextmanager
    def watching(self, namespace: str, out: Path) -> Iterator[None]:
        """``kubectl get tv -w`` beside, as a user would have it in another terminal."""
        command = [str(self.cluster.kubectl_program), f"--kubeconfig={self.cluster.kubeconfig}", "-n", namespace]
        with out.open("w") as file, subprocess.Popen([*command, "get", "tv", "-w"], stdout=file) as watch:
            try:
                yield
                time.sleep(1)
            finally:
                watch.terminate()

    def download(self, uri: str, target: Path) -> Path:
        """Fetch a file of the store."""
        self.server.client().download_file(self.bucket, self.key(uri), str(target))
        return target

    def key(self, uri: str) -> str:
        """The key of a file of the store."""
        return uri.removeprefix(f"s3://{self.bucket}/")

    def operator_log(self) -> str:
        """What the operator has logged."""
        return self.cluster.kubectl("-n", SYSTEM, "logs", f"deployment/{RELEASE}", "--tail=-1")


@contextmanager
def installation(
    node: RealNode, images: dict[Image, BuiltImage], server: S3Server, folder: Path
) -> Iterator[Installation]:
    """Install the chart; remove it afterwards."""
    bucket = server.create_bucket("talkingvideo")
    store = {"s3": {"endpoint": server.endpoint, "bucket": bucket, "secretName": STORE_SECRET}}
    stores = {"default": store}
    profiles = {
        "default": {
            "workerImage": images[Image.WORKER_PREVIEW].name,
            "stores": stores,
            "allow": {"inputBuckets": [f"{bucket}/{{namespace}}-inputs/"]},
        },
        "infinitetalk": {
            "workerImage": image_name(torch_worker()),
            "engine": "infinitetalk",
            "gpu": None,
            "weightsClaim": WEIGHTS_CLAIM,
            "render": {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "6Gi"}}},
            "stores": stores,
        },
    }
    repository, _, tag = images[Image.OPERATOR].name.rpartition(":")
    values = folder / "values.yaml"
    values.write_text(yaml.safe_dump({"image": {"repository": repository, "tag": tag}, "profiles": profiles}))
    place = ("--namespace", SYSTEM, "--wait", "--timeout", "120s")
    _helm(node, "install", RELEASE, str(CHART), "--create-namespace", "--values", str(values), *place)
    made = Installation(node.cluster, server, bucket)
    try:
        yield made
    finally:
        print(made.operator_log())
        _helm(node, "uninstall", RELEASE, *place)


def _helm(node: RealNode, *arguments: str) -> None:
    command = [str(binary("helm")), "--kubeconfig", str(node.cluster.kubeconfig), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
