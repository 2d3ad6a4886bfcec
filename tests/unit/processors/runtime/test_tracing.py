"""Trace context without and with spans exported."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from opentelemetry.trace import SpanKind

from processors.runtime import tracing
from processors.runtime.settings import Tracing
from schemas.errors import AppError

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def test_a_trace_goes_on_and_logs_carry_it() -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        with tracing.span("work", PARENT, SpanKind.CONSUMER) as passed_on:
            structlog.get_logger().info("inside")
            assert tracing.headers() == {"traceparent": PARENT.encode()}
        structlog.get_logger().info("outside")
    assert passed_on == PARENT
    assert [entry.get("trace") for entry in logs] == [TRACE, None]
    assert tracing.headers() == {}


@pytest.mark.parametrize("given", [None, "", "00-a", "nonsense " * 1000, PARENT.replace(TRACE, "0" * 32), "\udcff"])
def test_without_a_readable_trace_one_begins(given: str | None) -> None:
    with tracing.span("work", given, SpanKind.SERVER) as first, tracing.span("work", first, SpanKind.SERVER) as second:
        pass
    version, trace_id, span_id, flags = first.split("-")
    assert (version, len(trace_id), len(span_id), flags) == ("00", 32, 16, "01")
    assert int(trace_id, 16)
    assert second == first
    with tracing.span("work", given, SpanKind.SERVER) as other:
        assert other.split("-")[1] != trace_id


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(
        AppError, match=r"OVERTURE_TRACING__ENDPOINT is http://c:4318/v1/traces.*--extra tracing"
    ) as raised:
        tracing.configure(Tracing(endpoint="http://c:4318/v1/traces"), "x")
    assert raised.value.code == "tracing-not-installed"
    tracing.configure(Tracing(), "x")


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP endpoint, and the bodies it was sent."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
        server.shutdown()
        thread.join()


EXPORTING = f"""
import sys
from opentelemetry.trace import SpanKind
from processors.runtime import tracing
from processors.runtime.settings import Tracing
tracing.configure(Tracing(endpoint=sys.argv[1]), "overture-test")
with tracing.span("work", {PARENT!r}, SpanKind.CONSUMER, {{"overture.event": "t/0/1"}}) as passed_on:
    tracing.note("overture.outcome", "done")
with tracing.batch("many", [passed_on]):
    pass
print(passed_on)
"""


def test_spans_are_exported_where_it_is_asked_for(collector: tuple[str, list[bytes]]) -> None:
    """A process of its own: a provider is set once a process."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    endpoint, bodies = collector
    done = subprocess.run(
        [sys.executable, "-c", EXPORTING, endpoint], capture_output=True, text=True, check=True, timeout=60
    )
    sent = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    spans = {s.name: s for r in sent for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans}
    work, many = spans["work"], spans["many"]
    assert work.trace_id.hex() == TRACE
    assert work.parent_span_id.hex() == PARENT.split("-")[2]
    assert {a.key: a.value.string_value for a in work.attributes} == {
        "overture.event": "t/0/1",
        "overture.outcome": "done",
    }
    assert done.stdout.strip() == f"00-{TRACE}-{work.span_id.hex()}-01"
    assert [link.span_id for link in many.links] == [work.span_id]
    assert many.trace_id != work.trace_id
