"""What kubectl apply refuses and what the operator refuses, with their messages."""

import json
import time
from typing import Any

import pytest
from kubernetes import watch
from tests.cluster.cluster import KubectlError
from tests.control_plane.operator_process import GROUP, PLURAL, VERSION, Sandbox, spec, video

AUDIO = {"audio": {"uri": "s3://media/a.wav"}}
IMAGE = {"image": {"uri": "https://example.com/a.png"}}
LEFT = {"left": 0, "top": 0, "width": 0.5, "height": 1}

REFUSED_BY_THE_API: dict[str, tuple[dict[str, Any], str]] = {
    "image and video": (
        {"source": {**IMAGE, "video": {"uri": "s3://media/a.mp4"}}},
        "set exactly one of image and video",
    ),
    "neither image nor video": ({"source": {}}, "set exactly one of image and video"),
    "audio and text": ({"speech": {"speakers": [{**AUDIO, "text": "hi"}]}}, "set exactly one of audio and text"),
    "no speaker": ({"speech": {"speakers": []}}, "spec.speech.speakers"),
    "three speakers": ({"speech": {"speakers": [AUDIO, AUDIO, AUDIO]}}, "Too many"),
    "a local file": ({"source": {"image": {"uri": "file:///etc/passwd"}}}, "file:// works in 'talkingvideo run' only"),
    "ftp": ({"source": {"image": {"uri": "ftp://example.com/a.png"}}}, "uri must start with https://"),
    "headers for s3": (
        {"source": {"image": {"uri": "s3://media/a.png", "headersSecretName": "x"}}},
        "headersSecretName requires an https:// uri",
    ),
    "keys in an s3 address": (
        {"source": {"image": {"uri": "s3://KEY:SECRET@bucket/key"}}},
        "must not contain a user name or password",
    ),
    "a LoRA's address with a password": (
        {"render": {"loras": [{"uri": "https://user@example.com/a.safetensors"}]}},
        "must not contain a user name or password",
    ),
    "a Secret that is a path": (
        {"source": {"image": {"uri": "https://example.com/a.png", "headersSecretName": "../pass"}}},
        "must be a name of a Kubernetes object",
    ),
    "a priority that is no name": ({"priority": "Very High"}, "must be a name of a Kubernetes object"),
    "a very long uri": (
        {"source": {"image": {"uri": "https://e.com/" + "a" * 2_100}}},
        "only data: URIs may be longer",
    ),
    "a voice without text": ({"speech": {"speakers": [{**AUDIO, "voice": "de"}]}}, "voice requires text"),
    "neither audio nor text": ({"speech": {"speakers": [AUDIO, {}]}}, "set exactly one of audio and text for each"),
    "region and mask": (
        {"speech": {"speakers": [{**AUDIO, "region": LEFT, "mask": {"uri": "s3://media/m.png"}}]}},
        "set at most one of region and mask",
    ),
    "turns over two recordings": (
        {"speech": {"speakers": [AUDIO, AUDIO], "turns": [{"speaker": 0, "start": 0, "end": 1}]}},
        "turns divide one recording",
    ),
    "turns over nothing": (
        {"speech": {"speakers": [{}, AUDIO], "turns": [{"speaker": 0, "start": 0, "end": 1}]}},
        "turns divide one recording",
    ),
    "a turn of a missing speaker": (
        {"speech": {"speakers": [AUDIO], "turns": [{"speaker": 1, "start": 0, "end": 1}]}},
        "a turn names a speaker that does not exist",
    ),
    "turns arranged": (
        {
            "speech": {
                "speakers": [AUDIO, {}],
                "turns": [{"speaker": 1, "start": 0, "end": 1}],
                "arrangement": "Parallel",
            }
        },
        "do not set it together with turns",
    ),
    "80 frames": ({"render": {"windowFrames": 80}}, "must be of the form 4n+1"),
    "motion above window": ({"render": {"windowFrames": 9, "motionFrames": 9}}, "motionFrames must be less than"),
    "an odd width": ({"video": {"width": 101, "height": 100}}, "must be even"),
    "a width alone": ({"video": {"width": 100}}, "set both width and height"),
    "a width and a shape": ({"video": {"width": 100, "height": 100, "aspectRatio": "1:1"}}, "do not set aspectRatio"),
    "an unknown shape": ({"video": {"aspectRatio": "2:1"}}, "Unsupported value"),
    "steps above 100": ({"render": {"steps": 101}}, "less than or equal to 100"),
    "short chunks": ({"chunking": {"targetSeconds": 1}}, "greater than or equal to 10"),
    "two outputs": ({"output": {"s3": {}, "pvc": {"claim": "x"}}}, "set at most one of s3 and pvc"),
    "an unknown field": ({"sourc": {}}, 'unknown field "spec.sourc"'),
    "an unknown field of a list's item": (
        {"speech": {"speakers": [{**AUDIO, "regio": LEFT}]}},
        'unknown field "spec.speech.speakers[0].regio"',
    ),
    "a mistyped value": (
        {"render": {"preset": "fsat"}},
        'spec.render.preset: Unsupported value: "fsat": supported values: "quality", "fast", "turbo"',
    ),
    "a region outside": (
        {"speech": {"speakers": [{**AUDIO, "region": {"left": 0.9, "top": 0.1, "width": 0.5, "height": 0.1}}]}},
        "the region ends outside the picture",
    ),
    "more inline data than one object may have": (
        {
            "source": {"image": {"uri": f"data:,{'A' * 100_000}"}},
            "speech": {"speakers": [{"audio": {"uri": f"data:,{'A' * 100_000}"}}]},
        },
        "the data: URIs of an object may have at most 184320 characters together",
    ),
    "plain http notifications": ({"notify": {"url": "http://example.com/"}}, "url must start with https://"),
}


@pytest.mark.parametrize("case", REFUSED_BY_THE_API)
def test_kubectl_apply_says_what_is_wrong(installed: Any, namespace: Any, case: Any) -> None:
    changes, message = REFUSED_BY_THE_API[case]
    with pytest.raises(KubectlError) as refusal:
        installed.kubectl("apply", "--namespace", namespace, "--filename=-", stdin=json.dumps(video(**changes)))
    assert message in str(refusal.value)


def test_every_field_is_accepted(installed: Any, namespace: Any) -> None:
    full = spec(
        speech={"speakers": [AUDIO, {"text": "hello", "voice": "en-us"}], "arrangement": "Sequential"},
        video={"resolution": "720p", "width": 640, "height": 480, "fit": "Pad", "maxFrames": 100},
        render={"preset": "turbo", "steps": 4, "seed": -1, "loras": [{"name": "x", "scale": 0.5}], "apg": {}},
        chunking={"targetSeconds": 30, "maxParallel": 4, "continuity": "Chained"},
        output={"store": "default", "name": "{namespace}/{date}", "overwrite": True, "loudness": -23},
        overrides={"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]},
        suspend=True,
        queueName="gpu",
    )
    installed.apply({**video(), "spec": full}, namespace=namespace)


def test_turns_over_one_recording_with_a_mask_are_accepted(installed: Any, namespace: Any) -> None:
    turns = [{"speaker": number % 2, "start": number, "end": number + 1} for number in range(500)]
    speakers = [{**AUDIO, "mask": {"uri": "s3://media/m.png"}}, {"region": LEFT}]
    installed.apply(video(speech={"speakers": speakers, "turns": turns}), namespace=namespace)


def test_a_fresh_object_is_not_taken_for_finished_before_the_first_write(installed: Any, namespace: Any) -> None:
    installed.apply(video(), namespace=namespace)
    found = installed.objects.get_namespaced_custom_object(
        "talkingvideo.dev", "v1alpha1", namespace, "talkingvideos", "hello"
    )
    assert found["status"] == {"observedGeneration": -1}


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"engine": "other"}, "NotSupported", "spec.engine: engine 'other' is not supported; use one of"),
        (
            {"profile": "gold"},
            "ProfileMissing",
            "there is no profile 'gold'; the operator's configuration has: default",
        ),
        ({"source": {"image": {"uri": "pvc://secrets/a.png"}}}, "NotAllowed", "spec.source.image.uri"),
        ({"source": {"image": {"uri": "s3://other/a.png"}}}, "NotAllowed", "can list a place of bucket 'other'"),
        ({"source": {"image": {"uri": "s3://media/.work/x/a.png"}}}, "NotAllowed", "spec.source.image.uri"),
        ({"output": {"name": "../x"}}, "NotAllowed", "spec.output.name"),
        ({"output": {"name": "./.work/{namespace}/x"}}, "NotAllowed", "spec.output.name"),
        ({"output": {"s3": {"prefix": ".work"}}}, "NotAllowed", "spec.output.s3.prefix"),
        ({"output": {"name": "neighbour/x"}}, "NotAllowed", "the profile allows results below"),
        ({"overrides": {"nodeSelector": {"a": "b"}}}, "NotAllowed", "spec.overrides.nodeSelector"),
    ],
)
def test_the_operator_fails_an_unsupported_or_forbidden_spec(
    sandbox: Sandbox, changes: Any, reason: Any, words: Any
) -> None:
    sandbox.apply(video(**changes))
    sandbox.wait_phase("Failed")
    failed = sandbox.condition("Failed")
    assert failed["reason"] == reason
    assert words in failed["message"]
    assert sandbox.condition("Stalled")["status"] == "True"
    time.sleep(0.5)
    assert sandbox.jobs() == []


def test_an_image_that_somebody_writes_into_status_runs_in_no_pod(sandbox: Sandbox) -> None:
    """Rights on status are no rights on the store: forged values are derived again from spec and profile."""
    version = sandbox.cluster.batch.list_namespaced_job(sandbox.namespace).metadata.resource_version
    sandbox.apply(video())
    sandbox.finish("prepare")
    sandbox.pod("render", 0)
    forged = {"workerImage": "evil.example/worker:1", "outputName": "neighbour/x", "gpusPerChunk": 8}
    status = {"effective": {**sandbox.status()["effective"], **forged}}
    sandbox.cluster.objects.patch_namespaced_custom_object_status(
        GROUP, VERSION, sandbox.namespace, PLURAL, "hello", {"status": status}
    )
    sandbox.finish("prepare", attempt=1)
    sandbox.pod("render", 0)
    effective = sandbox.status()["effective"]
    assert (effective["workerImage"], effective["gpusPerChunk"]) == ("worker:test", 1)
    assert images_of_all_jobs(sandbox, version) == {"worker:test"}
    events = sandbox.cluster.core.list_namespaced_event(sandbox.namespace).items
    assert any(event.reason == "Restarted" for event in events)


def images_of_all_jobs(sandbox: Sandbox, version: str) -> set[str]:
    """The images of every Job that was created since then, deleted ones included."""
    stream: Any = watch.Watch().stream  # type: ignore[no-untyped-call]
    listing = sandbox.cluster.batch.list_namespaced_job
    seen = stream(listing, sandbox.namespace, resource_version=version, timeout_seconds=1)
    pods = [event["object"].spec.template.spec for event in seen if event["type"] == "ADDED"]
    return {each.image for pod in pods for each in [*(pod.init_containers or ()), *pod.containers]}
