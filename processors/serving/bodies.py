"""Request bodies, read under a limit of size and of patience."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from processors.serving.problems import ProblemError

STALL_S = 30.0
"""Longest wait for the next piece of a body, seconds."""


async def body_chunks(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """The body in pieces as they arrive, at most ``max_bytes`` in all.

    Raises:
        ProblemError: 413 too large, 408 nothing came for ``STALL_S``, 400 the client went away.
    """
    _refuse_declared(request, max_bytes)
    stream = request.stream()
    seen = 0
    while True:
        try:
            async with asyncio.timeout(STALL_S):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise ProblemError(408, "body-stalled", f"No byte of the body came for {STALL_S:.0f} s.") from error
        except ClientDisconnect as error:
            raise ProblemError(400, "body-cut-off", "The body ended before it was complete.") from error
        if chunk is None:
            return
        seen += len(chunk)
        if seen > max_bytes:
            raise _too_large(max_bytes)
        if chunk:
            yield chunk


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body; errors as ``body_chunks``."""
    return b"".join([chunk async for chunk in body_chunks(request, max_bytes)])


def _refuse_declared(request: Request, max_bytes: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > max_bytes):
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> ProblemError:
    return ProblemError(413, "body-too-large", f"The body has more than {max_bytes} bytes.", max_bytes=max_bytes)
