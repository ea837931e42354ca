"""What the API server's refusals say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from talkingvideo_clients.kube.api import ApiError, Cause

INVALID = 'Job.batch "hello" is invalid: spec.template.spec.nodeSelector: Invalid value: "a b"'
FIELD = {"reason": "FieldValueInvalid", "message": "Invalid value", "field": "spec.template.spec.nodeSelector"}


def status(reason: str, message: str = INVALID, *causes: dict[str, str]) -> str:
    return json.dumps({"kind": "Status", "reason": reason, "message": message, "details": {"causes": list(causes)}})


def test_a_refusal_says_which_fields_are_wrong() -> None:
    error = ApiError.of(422, status("Invalid", INVALID, FIELD))
    assert error.causes == (Cause("spec.template.spec.nodeSelector", "FieldValueInvalid"),)
    assert (error.message, error.reason) == (INVALID, "Invalid")


@pytest.mark.parametrize("text", ["", "<html>", "[]", "null", '{"message": 1, "details": [1]}', '{"kind": "Status"}'])
def test_a_response_that_is_no_status_is_shown_as_it_is(text: str) -> None:
    assert not ApiError.of(502, text).causes


def test_a_message_of_any_length_is_bounded() -> None:
    assert len(ApiError.of(422, status("Invalid", "m" * 1_000_000, FIELD)).message) <= 4_000


WEBHOOK = 'admission webhook "jobs.example" denied the request: no'
POLICY = "jobs.batch \"hello\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"


@pytest.mark.parametrize(
    ("code", "text", "is_about_the_object"),
    [
        (422, status("Invalid", INVALID, FIELD), True),
        (422, status("Invalid", INVALID, FIELD, {**FIELD, "field": ""}), False),
        (400, status("BadRequest", "Job in version v1 cannot be handled: quantities must match"), True),
        (422, status("Invalid", WEBHOOK, FIELD), False),
        (400, status("BadRequest", WEBHOOK), False),
        (422, status("Invalid", POLICY, {"message": "no"}), False),
        (422, status("Invalid", POLICY), False),
        (403, status("Forbidden", "exceeded quota"), False),
        (400, "bad gateway", False),
        (500, status("InternalError", INVALID, FIELD), False),
    ],
)
def test_only_the_servers_own_validation_is_about_the_object(code: int, text: str, is_about_the_object: Any) -> None:
    assert ApiError.of(code, text).is_about_the_object is is_about_the_object
