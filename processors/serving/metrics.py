"""Metrics of the service, in a registry of their own; labels never hold ids."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from processors.runtime.fallbacks import fallback_counter
from processors.runtime.metrics import build_info

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
AGES = (1, 5, 15, 60, 300, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400, 180 * 86400)
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class ServiceMetrics:
    """Every metric of the HTTP service.

    One process has one. With several processes behind one port each has a port of its own for Prometheus
    (``OVERTURE_HTTP__METRICS_PORT``): the shared one answers for whichever process took the request.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build_info(self.registry)
        self.requests = Counter(
            "overture_http_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "overture_http_request_seconds",
            "Time from the request's head to the answer's head.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "overture_http_requests_in_flight", "Requests not yet fully answered.", registry=self.registry
        )
        self.degraded = Counter(
            "overture_recommend_degraded_total", "Answers given without a part.", ("part",), registry=self.registry
        )
        self.fallbacks = fallback_counter(self.registry)
        self.feature_reads = Counter(
            "overture_feature_reads_total",
            "Feature rows asked for: found, missing (or older than the view allows), unavailable.",
            ("view", "outcome"),
            registry=self.registry,
        )
        self.feature_age = Histogram(
            "overture_feature_age_seconds",
            "Age of the feature rows read: now less their event time.",
            ("view",),
            buckets=AGES,
            registry=self.registry,
        )
        self.dependency_up = Gauge(
            "overture_dependency_up", "Whether it answered when last asked.", ("dependency",), registry=self.registry
        )
        self.follower_records = Counter(
            "overture_follower_records_total", "Records applied.", ("follower",), registry=self.registry
        )
        self.follower_skipped = Counter(
            "overture_follower_skipped_total", "Records left out.", ("follower", "code"), registry=self.registry
        )
        self.follower_lag = Gauge(
            "overture_follower_lag_records", "Records not yet applied.", ("follower",), registry=self.registry
        )
        self.follower_caught_up = Gauge(
            "overture_follower_caught_up",
            "Whether everything that lay in the topics at the start was applied.",
            ("follower",),
            registry=self.registry,
        )

    def watch_snapshot(self, items: Callable[[], float], age_s: Callable[[], float]) -> None:
        """Expose the catalogue snapshot's size and the seconds since it changed last."""
        Gauge("overture_snapshot_items", "Published items in the snapshot.", registry=self.registry).set_function(items)
        Gauge(
            "overture_snapshot_age_seconds", "Seconds since the snapshot changed.", registry=self.registry
        ).set_function(age_s)

    def exposition(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self.registry)


class RequestMetrics:
    """ASGI middleware that counts and times requests by route template."""

    def __init__(self, app: ASGIApp, metrics: ServiceMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in METHODS else "other"
                route = getattr(scope.get("route"), "path", "unmatched")
                self._metrics.requests.labels(method, route, str(message["status"])).inc()
                self._metrics.seconds.labels(method, route).observe(time.perf_counter() - started)
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            await self._app(scope, receive, observe)
