"""Runs a speech synthesizer in a process of its own: one request in, one response out, both JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from talkingvideo_api.errors import ErrorCode, StageError


def run_subprocess(module: str, request: dict[str, Any], timeout: float, failure: ErrorCode) -> dict[str, Any]:
    """Run a module of this package with a request on its standard input.

    Args:
        module: Name of the module in ``talkingvideo_worker.speech``.
        request: What the module reads.
        timeout: Seconds after which the process is killed.
        failure: Code of the error when the process fails.

    Returns:
        What the module printed.

    Raises:
        StageError: E_TIMEOUT, or ``failure`` with the last line of the process's standard error.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", f"talkingvideo_worker.speech.{module}"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StageError(ErrorCode.TIMEOUT, f"Speaking the text took more than {timeout:.0f} s.") from None
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise StageError(failure, f"Speaking the text failed: {reason[0][:200]}")
    response: dict[str, Any] = json.loads(done.stdout)
    return response
