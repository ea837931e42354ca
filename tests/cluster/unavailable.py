"""What this machine can't do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class UnavailableError(Exception):
    """Something that a test needs is not here and can't be fetched; the message is one line and names it."""


@contextmanager
def skipped_when_unavailable() -> Iterator[None]:
    """Skip the test when the block needs what is not here; under ``CI=true`` fail it instead."""
    try:
        yield
    except UnavailableError as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; in CI nothing is skipped", pytrace=False)
        pytest.skip(str(reason))
