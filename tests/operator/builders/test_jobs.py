"""Jobs: deadlines, failure policy, queue and metadata."""

from tests.operator.builders.manifests import context

from talkingvideo_api.names import Stage
from talkingvideo_operator.builders.jobs import PERMANENT_STATUSES, build_job
from talkingvideo_operator.planning.decision import CreateJob


def test_the_deadline_is_the_pods_and_not_the_jobs() -> None:
    job = build_job(context(), CreateJob(Stage.RENDER, 0, 0))
    assert "activeDeadlineSeconds" not in job["spec"]
    assert job["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 21_600


def test_a_disrupted_pod_is_ignored_before_exit_codes_are_checked() -> None:
    job = build_job(context(), CreateJob(Stage.RENDER, 0, 0))
    first, second = job["spec"]["podFailurePolicy"]["rules"]
    assert (first["action"], second["action"]) == ("Ignore", "FailJob")
    assert second["onExitCodes"]["values"] == PERMANENT_STATUSES == [10, 11, 12, 13]
    assert job["spec"]["backoffLimit"] == 0


def test_kueue_gets_suspended_jobs_with_its_label() -> None:
    job = build_job(context(queueName="gpu"), CreateJob(Stage.RENDER, 0, 0))
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    assert build_job(context(), CreateJob(Stage.RENDER, 0, 0))["spec"]["suspend"] is False


def test_children_are_named_labelled_and_owned() -> None:
    job = build_job(context(metadata={"name": "a" * 60}), CreateJob(Stage.RENDER, 12, 499))
    meta = job["metadata"]
    assert len(meta["name"]) <= 63
    assert meta["annotations"]["talkingvideo.dev/object"] == "a" * 60
    owner = meta["ownerReferences"][0]
    assert owner["controller"] is True and owner["blockOwnerDeletion"] is False
    assert all(len(value) <= 63 for value in meta["labels"].values())
