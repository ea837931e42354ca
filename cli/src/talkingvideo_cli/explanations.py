"""What a failure means and what to do about it, from the table of errors."""

from __future__ import annotations

from collections.abc import Iterator

from talkingvideo_api.errors import ERRORS, ErrorCode, Responsibility
from talkingvideo_cli.exits import CommandError, ExitStatus
from talkingvideo_cli.view import Outcome, VideoView

WHO_ACTS = {
    Responsibility.USER: "you, the author of the object",
    Responsibility.CLUSTER: "nobody, if another attempt succeeds; otherwise the administrator of the cluster",
    Responsibility.PROJECT: "the project: please report it",
}


def code_of(text: str) -> ErrorCode | None:
    """The code that a person means: ``E_OOM``, ``oom``; None if it is no code."""
    plain = text.upper().replace("-", "_")
    return next((code for code in ErrorCode if plain in (code.value, code.value.removeprefix("E_"))), None)


def explain_code(code: ErrorCode) -> Iterator[str]:
    """Lines on a code."""
    kind = ERRORS[code]
    yield f"{code.value}: {kind.meaning}"
    yield f"Who acts: {WHO_ACTS[kind.responsible]}."
    yield f"Tried again by the operator: {'yes' if kind.retryable else 'no'}."
    yield f"What to do: {kind.remedy}"


def explain_video(view: VideoView) -> Iterator[str]:
    """Lines on the state of a video."""
    yield f"{view.name}: {view.phase}"
    if view.message:
        yield view.message
    if view.failure and view.outcome is Outcome.FAILED:
        yield f"Why: {why_failed(view)}"
        if code := code_of(str(view.failure.get("code"))):
            yield from explain_code(code)
    for warning in view.warnings:
        yield f"Warning: {warning}"


def why_failed(view: VideoView) -> str:
    """A failure in one line: where, in which field, what is wrong, and the code."""
    failure = view.failure
    if not failure:
        return view.message
    chunk = f" of chunk {failure['chunk']}" if "chunk" in failure else ""
    stage = f" (in {failure['stage']}{chunk})" if "stage" in failure else ""
    field = f"{failure['field']}: " if "field" in failure else ""
    return f"{field}{failure.get('message', '')} ({failure.get('code')}){stage}"


def require_success(view: VideoView) -> None:
    """Raise what a script has to know of a video that has ended.

    Raises:
        CommandError: It has failed, or was cancelled.
    """
    if view.outcome is Outcome.CANCELLED:
        raise CommandError(ExitStatus.CANCELLED, f"{view.name} was cancelled")
    if view.outcome is Outcome.FAILED:
        raise CommandError(ExitStatus.FAILED, f"{view.name} has failed: {why_failed(view)}")
