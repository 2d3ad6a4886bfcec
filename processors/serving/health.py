"""Liveness, readiness, metrics."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from processors.serving.documentation import responses
from processors.serving.parts import Probe, ServiceParts
from schemas.errors import AppError

PROBE_TIMEOUT_S = 2.0


class HealthRoutes:
    """``/healthz``, ``/readyz``, ``/metrics``."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self.router = APIRouter(tags=["operation"])
        add = self.router.add_api_route
        unready = {"ready": False, "probes": {"redis": {"ok": False, "code": "redis-unavailable"}}}
        ready_responses = responses({"ready": True, "probes": {"redis": {"ok": True}}})
        ready_responses[503] = {"description": "Not ready", "content": {"application/json": {"example": unready}}}
        add(
            "/healthz",
            self.alive,
            methods=["GET"],
            response_class=Response,
            responses=responses({"status": "ok"}),
        )
        add("/readyz", self.ready, methods=["GET"], response_class=Response, responses=ready_responses)
        add(
            "/metrics",
            self.metrics,
            methods=["GET"],
            response_class=Response,
            dependencies=parts.gate.needs("operate"),
            responses=responses("# HELP ...", media_type="text/plain"),
        )

    async def alive(self) -> Response:
        """Whether the process answers at all."""
        return Response(b'{"status":"ok"}', media_type="application/json")

    async def ready(self) -> Response:
        """Whether every part is usable; 503 if not, with each part's state."""
        names = list(self._parts.probes)
        results = await asyncio.gather(*(_result(self._parts.probes[name]) for name in names))
        ready = all(result["ok"] for result in results)
        body = orjson.dumps({"ready": ready, "probes": dict(zip(names, results, strict=True))})
        return Response(body, 200 if ready else 503, media_type="application/json")

    async def metrics(self) -> Response:
        """Prometheus text format."""
        return Response(self._parts.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


async def _result(probe: Probe) -> dict[str, object]:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            await probe()
    except AppError as error:
        return {"ok": False, "code": error.code}
    except TimeoutError:
        return {"ok": False, "code": "probe-timeout"}
    return {"ok": True}
