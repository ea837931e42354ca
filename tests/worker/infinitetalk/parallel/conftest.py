"""A process that has imported what workers need, and forks the workers of the tests."""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let it import while tests of other folders run."""
    if any(HERE in item.path.parents for item in session.items):
        multiprocessing.set_forkserver_preload(["talkingvideo_worker.engines.infinitetalk.parallel.group"])
        capture = session.config.pluginmanager.getplugin("capturemanager")
        capture.resume_global_capture()  # so that what its processes print is not between the tests' dots
        forkserver.ensure_running()
        capture.suspend_global_capture()
