"""What the service counts for Prometheus, and the line that each request leaves in the log."""

from __future__ import annotations

import logging
import os
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Metrics", "Observed"]

log = logging.getLogger(__name__)

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0)
"""Upper edges of the times, in seconds."""


class Metrics:
    """The counters of one app; those of several worker processes add up where `PROMETHEUS_MULTIPROC_DIR` is set."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names = ["method", "route", "status"]
        self.requests = Counter("audiomae_requests", "Requests answered", names, registry=self.registry)
        self.seconds = Histogram(
            "audiomae_request_seconds",
            "Time until the answer was sent",
            ["route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.under_way = Gauge(
            "audiomae_requests_under_way",
            "Requests being answered",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.tracks = Gauge(
            "audiomae_tracks", "Songs served", registry=self.registry, multiprocess_mode="mostrecent"
        )
        self.reloads = Counter(
            "audiomae_reloads", "Times the vectors were opened anew", registry=self.registry
        )

    def text(self) -> bytes:
        """Return the figures in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        joined = CollectorRegistry()
        multiprocess.MultiProcessCollector(joined)  # type: ignore[no-untyped-call]
        return generate_latest(joined)


class Observed:
    """Counts and times every request, and writes a line about it.

    Args:
        app: What answers.
        metrics: The counters.
        access_log: Whether to write lines.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, *, access_log: bool) -> None:
        self.app, self.metrics, self.access_log = app, metrics, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and note how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, sent = time.perf_counter(), 0, 0

        async def noted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        self.metrics.under_way.inc()
        try:
            await self.app(scope, receive, noted)
        finally:
            self.metrics.under_way.dec()
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(scope["method"], route, status).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            if self.access_log:
                client = scope["client"][0] if scope.get("client") else "-"
                path = (
                    scope["path"].encode("unicode_escape").decode()[:200]
                )  # a line break in a path stays one line
                log.info(
                    "%s %s %s %d %d B %.1f ms", client, scope["method"], path, status, sent, 1000 * seconds
                )
