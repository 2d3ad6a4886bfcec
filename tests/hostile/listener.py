"""A server that nobody is to call."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self


class Listener:
    """Accepts on a free port of 127.0.0.1 while it is entered.

    Attributes:
        port: Where.
        calls: Addresses of those who called.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)
        self.port: int = self._socket.getsockname()[1]
        self.calls: list[object] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                connection, address = self._socket.accept()
            except OSError:  # shut down
                return
            self.calls.append(address)
            connection.close()
