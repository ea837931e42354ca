"""Metrics of requests, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)
"""Seconds. Polls take milliseconds; uploads, and answers that wait for a video, take longer."""

UNKNOWN_ROUTE = "other"


class Metrics:
    """Counts requests by route; ids and everything else that callers choose are no part of it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter(
            "talkingvideo_gateway_requests", "Requests that were answered.", labels, registry=self.registry
        )
        self._seconds = Histogram(
            "talkingvideo_gateway_request_seconds",
            "Time from a request to the beginning of its answer.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._open = Gauge(
            "talkingvideo_gateway_open_requests", "Requests and WebSockets that are open.", registry=self.registry
        )

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, with each of its requests counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in ("http", "websocket"):
                await app(scope, receive, send)
                return
            began = time.monotonic()

            async def answer(message: Message) -> None:
                if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
                    self._count(scope, str(message.get("status", 101)), time.monotonic() - began)
                await send(message)

            with self._open.track_inprogress():
                await app(scope, receive, answer)

        return counted

    def _count(self, scope: Scope, status: str, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
        method = scope.get("method", "WEBSOCKET")
        if route == UNKNOWN_ROUTE:
            method = UNKNOWN_ROUTE
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)
