"""Builds the Jobs of the stages."""

from __future__ import annotations

from talkingvideo_api import names
from talkingvideo_api.errors import ERRORS
from talkingvideo_clients.kube.objects import KUEUE_QUEUE_LABEL
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.metadata import Manifest, child_metadata
from talkingvideo_operator.builders.pod import build_pod_spec, pod_annotations
from talkingvideo_operator.planning.decision import CreateJob

PERMANENT_STATUSES = sorted(kind.exit_status for kind in ERRORS.values() if not kind.retryable)


def build_job(context: BuildContext, job: CreateJob) -> Manifest:
    """The Job of one attempt.

    The Job controller does not retry a failed pod (``backoffLimit: 0``): the operator counts attempts, one Job each. Only
    a pod that was evicted or preempted is replaced by the Job controller, because a disruption is not a failure.
    """
    video = context.video
    labels = {
        names.LABEL_COMPONENT: job.stage.value,
        names.LABEL_STAGE: job.stage.value,
        names.LABEL_ATTEMPT: str(job.attempt),
    }
    if job.chunk is not None:
        labels[names.LABEL_CHUNK] = str(job.chunk)
    if context.spec.queue_name:
        labels[KUEUE_QUEUE_LABEL] = context.spec.queue_name
    name = names.job_name(video.name, video.uid, video.revision or "", job.stage, job.attempt, job.chunk)
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
                "spec": build_pod_spec(context, job.stage, job.chunk),
            },
        },
    }


POD_FAILURE_POLICY: Manifest = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": PERMANENT_STATUSES}},
    ]
}
"""In this order: a disrupted pod is replaced; an error that another attempt cannot avoid fails the Job at once."""
