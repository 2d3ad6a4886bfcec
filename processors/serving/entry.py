"""The service's life: what runs beside the requests is started before the first and stopped after the last."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from types import FrameType

from fastapi import FastAPI

from processors.serving.index_keeper import IndexKeeper
from processors.serving.parts import ServiceParts

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def lifespan_of(parts: ServiceParts) -> Lifespan:
    """ASGI lifespan that starts ``parts.background`` in order and stops it in reverse, also after a failure.

    Event streams end as soon as the process is told to stop.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for running in (IndexKeeper(parts.catalogue), *parts.background):
                stack.push_async_callback(running.stop)
                await running.start()
            stack.callback(parts.status.close)
            stack.enter_context(_told_to_stop(parts.status.close))
            yield

    return lifespan


@contextmanager
def _told_to_stop(callback: Callable[[], None]) -> Iterator[None]:
    """Run ``callback`` on the event loop when a stop signal comes, before the server's own handling ends.

    A server (granian 2.8 measured) waits for open answers before it ends the lifespan, and a stream of events
    never ends by itself. Asyncio hears of signals through the wake-up descriptor, so a handler put in front
    of the server's does not take them away from it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        earlier = previous[signal.Signals(number)]
        if callable(earlier):
            earlier(number, frame)

    # Where nobody handles a signal, its default (to end the process) stays.
    handled = [number for number, handler in previous.items() if callable(handler)]
    for number in handled:
        signal.signal(number, handle)
        signal.siginterrupt(number, False)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, previous[number])
