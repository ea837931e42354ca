"""Speaking programs as processes of their own: one order in, one answer out, both JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from talkingvideo_api.errors import ErrorCode, StageError


def run_child(module: str, order: dict[str, Any], limit: float, failure: ErrorCode) -> dict[str, Any]:
    """Run a module of this package with an order on its standard input.

    Args:
        module: Its name below ``talkingvideo_worker.speech``.
        order: What it reads.
        limit: Seconds after which it is killed.
        failure: Code of the error when it fails.

    Returns:
        What it printed.

    Raises:
        StageError: E_TIMEOUT, or ``failure`` with the last line that it complained with.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"talkingvideo_worker.speech.{module}"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StageError(ErrorCode.TIMEOUT, f"Speaking the text took more than {limit:.0f} s.") from None
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise StageError(failure, f"Speaking the text failed: {reason[0][:200]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
