"""What a process tells Prometheus and Kubernetes, from a thread: it answers while the event loop is blocked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder

from processors.runtime.progress import Progress
from schemas.errors import AppError

Check = Callable[[], dict[str, bool]]
"""Parts and whether each is well."""


def serve(
    host: str, ports: Sequence[int], registry: CollectorRegistry = REGISTRY, checks: dict[str, Check] | None = None
) -> ThreadingHTTPServer:
    """Answer ``/metrics`` and each of ``checks`` on the first of ``ports`` that is free, until the process ends.

    Args:
        host: Address to bind.
        ports: Ports to try; processes that share a range each get one.
        registry: Metrics to show.
        checks: Path, for example ``/livez``, to what it asks; 200 if all are well, else 503.

    Raises:
        AppError: none of the ports is free (code ``port-taken``).
    """
    handler = _handler(registry, checks or {})
    for port in ports:
        try:
            server = ThreadingHTTPServer((host, port), handler)
        except OSError:
            continue
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="endpoint", daemon=True).start()
        return server
    raise AppError(
        f"metrics cannot be shown: no port of {host}:{ports[0]} to {ports[-1]} is free; choose others with "
        "OVERTURE_WORKER__METRICS_PORT or OVERTURE_HTTP__METRICS_PORT",
        code="port-taken",
    )


def worker_checks(progresses: Sequence[Progress], stall_s: float) -> dict[str, Check]:
    """``/livez``: the event loop comes by. ``/readyz``: every capability has its share of the consumer group."""

    def live() -> dict[str, bool]:
        now = time.monotonic()
        return {p.name: now - p.beat_at < stall_s for p in progresses}

    def ready() -> dict[str, bool]:
        return {p.name: p.joined for p in progresses}

    return {"/livez": live, "/readyz": ready}


def _handler(registry: CollectorRegistry, checks: dict[str, Check]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                encoder, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(200, content_type, encoder(registry))
            elif path in checks:
                parts = checks[path]()
                body = json.dumps({"ok": all(parts.values()), "parts": parts}).encode()
                self._answer(200 if all(parts.values()) else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"there are /metrics" + b"".join(b" " + c.encode() for c in checks))

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not logged."""

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
