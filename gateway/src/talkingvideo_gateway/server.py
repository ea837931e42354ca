"""The server process: one that ends streams before it waits for connections to close."""

from __future__ import annotations

from types import FrameType

import uvicorn
from fastapi import FastAPI


class Server(uvicorn.Server):
    """A stream of events has no end of its own: without one, whoever stops the server waits for each open page.

    Args:
        options: What is served, and where.
        application: The application whose streams are ended.
    """

    def __init__(self, options: uvicorn.Config, application: FastAPI) -> None:
        super().__init__(options)
        self._application = application

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by the signal's handler."""
        super().handle_exit(sig, frame)
        if self.started:
            self._application.state.gateway.end_streams()
