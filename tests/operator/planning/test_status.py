"""What status says, and how large it gets."""

from typing import Any

import pytest
from tests.operator.fake_cluster import FakeCluster, config, spec

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.inputs import InputKind, inputs_of
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import FailureReport, PrepareReport, encode_report
from talkingvideo_operator.builders.stage_input import build_stage_input


def test_status_says_how_chunks_were_rendered() -> None:
    cluster = FakeCluster(chunks=4, document=spec(chunking={"maxParallel": 4})).prepared()
    reports = [("resident", ()), ("offload", ("Memory was short.", "It was slow.")), ("offload", ("It was slow.",))]
    for chunk, (mode, warnings) in enumerate(reports):
        cluster.finish_chunk_with(chunk, memory_mode=mode, warnings=warnings)
    writes = cluster.status_writes
    cluster.reconcile()
    assert cluster.status_writes == writes + 1
    assert cluster.status.chunks.memory_modes == ("resident", "offload")
    assert cluster.status.warnings == ("Memory was short.", "It was slow.")


def test_status_says_how_reused_chunks_were_rendered() -> None:
    cluster = FakeCluster(chunks=3, missing=(2,))
    cluster.reconcile()
    job = cluster.job(Stage.PREPARE)
    usual = cluster.report(job)
    assert isinstance(usual, PrepareReport)
    prepared = usual.model_copy(update={"memory_modes": ("FP8", "resident")})
    cluster.succeed_pod(job, message=encode_report(prepared))
    cluster.complete_job(job)
    cluster.reconcile()
    assert cluster.status.chunks.memory_modes == ("FP8", "resident")
    cluster.finish_chunk_with(2, memory_mode="offload")
    cluster.reconcile()
    assert cluster.status.chunks.memory_modes == ("FP8", "resident", "offload")


@pytest.mark.parametrize("letter", ["w", "話", "🙂"])
def test_status_holds_five_hundred_chunks_with_many_long_warnings(letter: Any) -> None:
    cluster = FakeCluster(chunks=500, document=spec(chunking={"maxParallel": 256}, prompt="🙂" * 4_000)).prepared()
    while any(job.stage is Stage.RENDER for job in cluster.active()):
        for job in cluster.active():
            sentences = [f"{job.chunk} {number} {letter * 400}" for number in range(3)]
            cluster.finish_chunk_with(job.chunk or 0, memory_mode=letter * 100 + str(job.chunk), warnings=sentences)
        cluster.reconcile()
        assert len(cluster.status.to_json().encode()) < 64 * 1024
    assert len(cluster.status.warnings) < 40
    assert "more warnings" in cluster.status.warnings[-1]
    assert all(len(warning.encode()) <= 320 for warning in cluster.status.warnings)


@pytest.mark.parametrize("letter", ["p", "ü", "話", "🙂"])
def test_status_stays_below_64_kib_with_500_chunks_of_which_256_run_and_all_have_failed(letter: Any) -> None:
    prompts = {"prompt": letter * 4_000, "negativePrompt": letter * 4_000}
    cluster = FakeCluster(chunks=500, document=spec(chunking={"maxParallel": 256}, **prompts)).prepared()
    while len(cluster.status.chunks.failed) < 500:
        for job in [j for j in cluster.active() if j.attempt == 0]:
            cluster.fail(job)
        cluster.reconcile()
    assert len(cluster.status.to_json().encode()) < 64 * 1024
    cluster.wait(20)
    cluster.reconcile()
    cluster.reconcile()
    assert len(cluster.active()) == 256
    assert len(cluster.status.chunks.active) == 64
    assert len(cluster.status.to_json().encode()) < 64 * 1024
    cluster.fail(cluster.active()[0], ErrorCode.STORE_ACCESS, message=refusal(letter * 1_000))
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert len(cluster.status.to_json().encode()) < 64 * 1024


def test_status_shows_a_loras_uri_without_its_signature_and_the_stage_input_has_it_whole() -> None:
    loras = [{"uri": f"https://example.com/{number}?sig={'x' * 1_900}", "scale": 0.5} for number in range(7)]
    loras.insert(3, {"name": "mine"})
    document = spec(engine="infinitetalk", render={"preset": "fast", "loras": loras})
    cluster = FakeCluster(settings=config(profile={"preset": "turbo"}), document=document).prepared()
    assert "sig=" not in cluster.status.to_json()
    assert len(cluster.status.to_json().encode()) < 8_000
    profile = cluster.settings.profiles["default"]
    stage_input = build_stage_input(cluster.video, cluster.video.spec, cluster.status.effective, profile)
    assert stage_input.effective.sampling is not None
    fusion, *given = stage_input.effective.sampling.loras
    assert fusion.name == "Wan2.1_I2V_14B_FusionX_LoRA"
    assert [(it.index, it.name, it.scale) for it in given] == [
        (index, it.get("name"), it.get("scale", 1.0)) for index, it in enumerate(loras)
    ]
    assert [it["uri"] for it in loras if "uri" in it] == [
        each.reference.uri for each in inputs_of(stage_input.spec) if each.kind is InputKind.LORA
    ]


def test_prompts_are_whole_in_the_stage_input_and_absent_from_status() -> None:
    cluster = FakeCluster(document=spec(prompt="話" * 4_000, negativePrompt="ü" * 4_000))
    cluster.reconcile()
    effective = cluster.status.effective
    assert len(cluster.status.to_json().encode()) < 4_000
    profile = cluster.settings.profiles["default"]
    stage_input = build_stage_input(cluster.video, cluster.video.spec, effective, profile)
    assert (stage_input.values.prompt, stage_input.values.negative_prompt) == ("話" * 4_000, "ü" * 4_000)


def refusal(sentence: str) -> str:
    report = FailureReport(code=ErrorCode.STORE_ACCESS, message=sentence, retryable=False)
    return encode_report(report)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": {"image": {"uri": "s3://" + "\x01" * 2_000 + "/a"}}},
        {"source": {"image": {"uri": "pvc://" + "\x7f" * 2_000 + "/a"}}},
        {"overrides": {"nodeSelector": {"k" * 100_000: "x"}}},
        {"overrides": {"resources": {"limits": {"\u2028" * 100_000: "1"}}}},
        {"profile": "\x01" * 63},
        {"output": {"s3": {"prefix": "\x02" * 512, "bucket": "\x02" * 63}}},
    ],
)
def test_whatever_a_refusal_repeats_of_the_spec_status_stays_small_and_readable(changes: Any) -> None:
    cluster = FakeCluster(document=spec(**changes))
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert len(cluster.status.to_json().encode()) < 16 * 1024
