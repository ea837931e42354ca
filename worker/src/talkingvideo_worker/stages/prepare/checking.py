"""Checks a plan that ``process`` wrote before anything is published: it parsed strangers' media, and may not be itself."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import PLAN_NAME, SOUND_NAME, Plan
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.stages.loras import fetched_loras, lora_name
from talkingvideo_worker.stages.prepare.folders import PICTURE, VIDEO, prepared_folder
from talkingvideo_worker.stages.prepare.sizes import Size, Sizes, choose_sizes
from talkingvideo_worker.stages.workspace import used_by
from talkingvideo_worker.units import FRAME_RATE
from talkingvideo_worker.untrusted import UntrustedError, parse, read_plain

MAX_PLAN = 4 << 20
"""Bytes: two hours of speech have about 100,000 phonemes of 20 bytes. What is wrong with a forged one may take a hundred times as
many."""


def read_prepared_plan(stage_input: StageInput, scratch: Path) -> tuple[Plan, bytes]:
    """Read and check the plan among the prepared files.

    Returns:
        The plan and its bytes.

    Raises:
        StageError: E_INTERNAL, not retryable, when it is not one that ``process`` writes for this stage input.
    """
    try:
        content = read_plain(prepared_folder(scratch), PLAN_NAME, MAX_PLAN)
        plan = parse(Plan, content)
    except UntrustedError as error:
        raise refused(f"{PLAN_NAME} {error}") from None
    for reason in _contradictions(plan, stage_input):
        raise refused(f"{PLAN_NAME} {reason}")
    return plan, content


def refused(reason: str) -> StageError:
    """The error for prepared files that are not what ``process`` writes.

    Args:
        reason: What is wrong, without the full stop.
    """
    message = f"The prepared files are refused: {reason}. An input may be an attack on the software that reads it."
    return StageError(ErrorCode.INTERNAL, message, retryable=False)


def _contradictions(plan: Plan, stage_input: StageInput) -> list[str]:
    """What the plan says that the stage input does not allow."""
    effective, spec = stage_input.effective, stage_input.spec
    most_frames = max(1, int(stage_input.limits.seconds * FRAME_RATE) + FRAME_RATE)
    rules = {
        "was made with other effective values": plan.effective_digest == effective.digest,
        "has another picture than the source": plan.picture == (VIDEO if spec.source.video else PICTURE),
        "has no sound": SOUND_NAME in plan.files,
        "has a track too many or too few": len(plan.tracks) == len(spec.speech.speakers),
        "has a mask that the spec does not have": all(
            track.mask is None or speaker.mask is not None
            for track, speaker in zip(plan.tracks, spec.speech.speakers, strict=False)
        ),
        "has other LoRAs than the spec": _loras(plan) == {lora_name(lora.index) for lora in fetched_loras(stage_input)},
        "gives files to other stages": all(file.used_by == used_by(name) for name, file in plan.files.items()),
        "is longer than the limits allow": plan.frames <= most_frames * len(spec.speech.speakers),
        "has windows longer than the effective values": all(
            frames <= effective.window_frames for chunk in plan.chunks for frames in chunk.windows
        ),
        "continues chunks otherwise than the effective values": all(
            chunk.overlap in (0, effective.motion_frames) for chunk in plan.chunks
        ),
        "has a size that its source cannot have": _has_possible_sizes(plan, stage_input),
    }
    return [reason for reason, holds in rules.items() if not holds]


def _loras(plan: Plan) -> set[str]:
    return {name for name in plan.files if name.startswith("loras/")}


def _has_possible_sizes(plan: Plan, stage_input: StageInput) -> bool:
    """Whether a source of the size that the plan claims would be rendered and delivered in the plan's sizes."""
    source = plan.found.get("input", {}).get("source") if isinstance(plan.found.get("input"), dict) else None
    if not isinstance(source, dict):
        return False
    width, height = source.get("width"), source.get("height")
    if not isinstance(width, int) or not isinstance(height, int) or min(width, height) < 1:
        return False
    rendered, delivered = Size(plan.width, plan.height), Size(plan.delivered_width, plan.delivered_height)
    possible = choose_sizes(stage_input.effective, Size(width, height))
    return width * height <= stage_input.limits.pixels and possible == Sizes(rendered, delivered)
