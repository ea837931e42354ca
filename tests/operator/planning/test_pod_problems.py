"""What keeps pods from running."""

from datetime import timedelta
from typing import Any

import pytest
from tests.operator.fake_cluster import START, FakeCluster

from talkingvideo_api.conditions import Reason
from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.objects import Container


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        ({"unschedulable": "0/3 nodes are available"}, Reason.UNSCHEDULABLE),
        ({"container": ("ImagePullBackOff", "no such image")}, Reason.IMAGE_PULL_FAILED),
        ({"container": ("CreateContainerConfigError", 'secret "s3" not found')}, Reason.STORE_SECRET_MISSING),
    ],
)
def test_conditions_say_after_a_while_what_keeps_a_pod_from_running(pod: Any, reason: Any) -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    changes = dict(pod)
    if waiting := changes.pop("container", None):
        changes["containers"] = (Container("fetch", init=True, waiting_reason=waiting[0], waiting_message=waiting[1]),)
    cluster.set_pod(cluster.pod_of(cluster.job(Stage.PREPARE)), **changes)
    assert cluster.condition("Ready").reason is Reason.PREPARING
    assert cluster.reconcile().requeue_at == START + timedelta(seconds=15)
    cluster.wait(15)
    cluster.reconcile()
    assert cluster.condition("Ready").reason is reason
    assert cluster.condition("Reconciling").status == "True"
