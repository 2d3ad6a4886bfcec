"""A small server of ``POST /v1/embeddings`` in both forms, with the faults of real ones."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

DIM = 8
KEY = "sk-of-the-test"


@dataclass
class Model:
    """What is served, and what was asked.

    Attributes:
        answers: What the next requests get instead of an embedding, in order: a status, a body, or seconds to wait.
        bodies: Bodies of the requests so far.
        keys: Their Authorization headers.
    """

    answers: list[int | bytes | float] = field(default_factory=list)
    bodies: list[dict] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    url: str = ""


def texts_of(body: dict) -> list[str]:
    """What each vector is of; raises where the body is of neither form."""
    assert set(body) in ({"model", "input", "encoding_format"}, {"model", "messages", "encoding_format"})
    assert body["encoding_format"] == "float"
    if "input" in body:
        assert body["input"]
        assert all(isinstance(text, str) for text in body["input"])
        return body["input"]
    (message,) = body["messages"]
    assert message["role"] == "user"
    kinds = {part["type"] for part in message["content"]}
    assert kinds <= {"text", "image_url"}
    return [json.dumps(message["content"])]


def vector_of(text: str) -> list[float]:
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest)).normal(size=DIM).tolist()


@contextmanager
def serving() -> Iterator[Model]:
    """A server on a free port."""
    model = Model()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model.bodies.append(body)
            model.keys.append(self.headers["Authorization"])
            planned = model.answers.pop(0) if model.answers else b""
            if isinstance(planned, float):
                time.sleep(planned)
                planned = b""
            status = planned if isinstance(planned, int) else 200
            if self.path != "/v1/embeddings":
                status = 404
            data = [
                {"object": "embedding", "index": place, "embedding": vector_of(text)}
                for place, text in enumerate(texts_of(body))
            ]
            content = planned if isinstance(planned, bytes) and planned else b""
            if status == 200 and not content:
                # the order of the list is not promised
                content = json.dumps({"object": "list", "model": body["model"], "data": data[::-1]}).encode()
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", f"{model.url}/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield model
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
