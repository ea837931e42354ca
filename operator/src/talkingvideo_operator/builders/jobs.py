"""Jobs of the stages."""

from __future__ import annotations

from typing import Any

from talkingvideo_api import names
from talkingvideo_api.errors import ERRORS
from talkingvideo_clients.kube.objects import KUEUE_QUEUE_LABEL
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.metadata import child_metadata
from talkingvideo_operator.builders.pod import build_pod_spec, pod_annotations
from talkingvideo_operator.planning.decision import CreateJob

Manifest = dict[str, Any]

FINAL_STATUSES = sorted(kind.exit_status for kind in ERRORS.values() if not kind.retryable)


def build_job(context: BuildContext, start: CreateJob) -> Manifest:
    """The Job of one attempt.

    It never starts its pod again by itself (``backoffLimit: 0``): attempts are counted by the operator, one Job each.
    Only a pod that was evicted or preempted is replaced by the Job controller, because that is nobody's failure.
    """
    video = context.video
    labels = {
        names.LABEL_COMPONENT: start.stage.value,
        names.LABEL_STAGE: start.stage.value,
        names.LABEL_ATTEMPT: str(start.attempt),
    }
    if start.chunk is not None:
        labels[names.LABEL_CHUNK] = str(start.chunk)
    if context.spec.queue_name:
        labels[KUEUE_QUEUE_LABEL] = context.spec.queue_name
    name = names.job_name(video.name, video.uid, video.revision or "", start.stage, start.attempt, start.chunk)
    metadata = child_metadata(video, name, labels)
    pod_labels = {key: value for key, value in metadata["labels"].items() if key != KUEUE_QUEUE_LABEL}
    annotations = metadata["annotations"] | pod_annotations(context)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "suspend": bool(context.spec.queue_name),
            "podFailurePolicy": POD_FAILURE_POLICY,
            "template": {
                "metadata": {"labels": pod_labels, "annotations": annotations},
                "spec": build_pod_spec(context, start.stage, start.chunk),
            },
        },
    }


POD_FAILURE_POLICY: Manifest = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": FINAL_STATUSES}},
    ]
}
"""Rules in order: a disrupted pod is replaced, an error that trying again cannot help fails the Job at once."""
