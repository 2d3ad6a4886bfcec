"""One trace from an upload's request through all its events.

W3C trace context: the header ``traceparent`` of the HTTP request becomes a header of the upload's event, and every
event made in answer to one carries it on, retries and dead letters included. Log lines carry its id as ``trace``.
Spans are exported only where the extra ``tracing`` is installed and ``OVERTURE_TRACING__ENDPOINT`` is set; otherwise
the header and the logs are all there is.

Plays and interactions carry none: the header would be half as long as the event, and nobody follows a single play.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from processors.runtime.letters import TRACEPARENT
from processors.runtime.settings import Tracing
from schemas.errors import AppError

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("overture")


def configure(settings: Tracing, service: str) -> None:
    """Export spans if the settings say where to; call once a process.

    Args:
        settings: Where to.
        service: ``service.name`` of this process.

    Raises:
        AppError: the extra ``tracing`` is not installed (code ``tracing-not-installed``).
    """
    if not settings.endpoint:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise AppError(
            f"OVERTURE_TRACING__ENDPOINT is {settings.endpoint}, but {error.name} is not installed; "
            "install the extra (uv sync --extra tracing) or unset it",
            code="tracing-not-installed",
        ) from error
    resource = Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version("overture")})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.endpoint)))
    trace.set_tracer_provider(provider)


@contextmanager
def span(
    name: str, traceparent: str | None, kind: SpanKind, attributes: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Work that belongs to a trace; logs inside it carry the trace's id.

    Args:
        name: Name of the span, where spans are exported.
        traceparent: Trace to continue; None or unreadable: a new one begins.
        kind: Server or consumer.
        attributes: Attributes of the span.

    Yields:
        The ``traceparent`` to pass on.
    """
    parent = Context() if traceparent is None else _PROPAGATOR.extract({TRACEPARENT: traceparent}, Context())
    made = _TRACER.start_span(name, parent, kind, attributes)
    if not made.get_span_context().is_valid:
        # nothing records spans here, and nobody before us has begun a trace
        made = NonRecordingSpan(_new_context())
    trace_id = trace.format_trace_id(made.get_span_context().trace_id)
    with trace.use_span(made, end_on_exit=True), structlog.contextvars.bound_contextvars(trace=trace_id):
        yield _traceparent(made)


def work_on(capability: str, place: str, traceparent: str | None) -> AbstractContextManager[str]:
    """``span`` of a capability's work on the event at ``place``."""
    return span(capability, traceparent, SpanKind.CONSUMER, {"messaging.system": "kafka", "overture.event": place})


@contextmanager
def batch(capability: str, traceparents: Sequence[str]) -> Iterator[None]:
    """Work on many events at once: a trace of its own that links to theirs, if any."""
    if not traceparents:
        yield
        return
    found = [_PROPAGATOR.extract({TRACEPARENT: each}, Context()) for each in traceparents]
    links = [Link(context) for each in found if (context := trace.get_current_span(each).get_span_context()).is_valid]
    with _TRACER.start_as_current_span(capability, Context(), SpanKind.CONSUMER, links=links):
        yield


def note(name: str, value: str) -> None:
    """Set an attribute of the current span."""
    trace.get_current_span().set_attribute(name, value)


def headers() -> dict[str, bytes]:
    """Headers for an event published now; empty outside a trace."""
    current = trace.get_current_span()
    return {TRACEPARENT: _traceparent(current).encode()} if current.get_span_context().is_valid else {}


def _traceparent(of: Span) -> str:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(of, Context()))
    return carrier[TRACEPARENT]


def _new_context() -> SpanContext:
    """Ids of a new trace; zero is none. Sampled, so that a later process that records spans does."""
    return SpanContext(
        trace_id=secrets.randbits(128) or 1,
        span_id=secrets.randbits(64) or 1,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
