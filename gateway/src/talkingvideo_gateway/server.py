"""The server process: one that ends streams before it waits for connections to close."""

from __future__ import annotations

from types import FrameType

import uvicorn
from fastapi import FastAPI

GRACE_SECONDS = 5


class Server(uvicorn.Server):
    """A stream of events has no end of its own: without one, whoever stops the server waits for each open page.

    Args:
        application: The application.
        options: As `uvicorn.Config` has them.
    """

    def __init__(self, application: FastAPI, **options: str | int) -> None:
        # h11 bounds headers, which httptools does not.
        super().__init__(uvicorn.Config(application, http="h11", timeout_graceful_shutdown=GRACE_SECONDS, **options))  # type: ignore[arg-type]
        self._application = application

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal's handler."""
        super().handle_exit(sig, frame)
        if self.started:
            self._application.state.gateway.end_streams()
