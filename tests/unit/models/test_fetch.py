"""Weights by address, against a server on this machine."""

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.archives import Workshop
from models.build import ensure
from models.fetch import fetch
from models.weights import CARDS, Location, WeightsError, load, locate, read_card
from schemas.errors import UnavailableError

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/model.onnx")
            self.end_headers()
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://weights.invalid/model.onnx")
            self.end_headers()
        elif self.path == "/broken":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[:100])
        elif self.path == "/model.onnx":
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)
        else:
            self.send_error(404)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", ["/model.onnx", "/moved"])
def test_a_right_file_arrives(hub: str, tmp_path: Path, path: str) -> None:
    target = tmp_path / "deep" / "model.onnx"
    fetch(hub + path, target, SHA256, len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert left_behind(tmp_path) == ["model.onnx"]


def test_a_wrong_hash_leaves_the_old_file(hub: str, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"old")
    with pytest.raises(WeightsError, match="sha256"):
        fetch(hub + "/model.onnx", target, "0" * 64, len(CONTENT))
    assert target.read_bytes() == b"old"
    assert left_behind(tmp_path) == ["model.onnx"]


def test_a_longer_file_is_not_read_to_its_end(hub: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="longer"):
        fetch(hub + "/model.onnx", tmp_path / "model.onnx", SHA256, len(CONTENT) - 1)
    assert left_behind(tmp_path) == []


def test_a_shorter_file_is_refused(hub: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the card says"):
        fetch(hub + "/model.onnx", tmp_path / "model.onnx", SHA256, len(CONTENT) + 1)
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("path", ["/broken", "/missing"])
def test_a_failing_server_is_unavailable(hub: str, tmp_path: Path, path: str) -> None:
    with pytest.raises(UnavailableError):
        fetch(hub + path, tmp_path / "model.onnx", SHA256, len(CONTENT))
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("url", ["http://weights.invalid/model.onnx", "file:///etc/hostname"])
def test_only_https_is_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises((WeightsError, UnavailableError)):
        fetch(url, tmp_path / "model.onnx", SHA256, len(CONTENT))
    assert left_behind(tmp_path) == []


def test_a_redirect_to_plain_http_is_refused(hub: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="https"):
        fetch(hub + "/away", tmp_path / "model.onnx", SHA256, len(CONTENT))


def test_a_hub_weight_goes_through_its_card(hub: str, tmp_path: Path) -> None:
    cards, folder = tmp_path / "cards", tmp_path / "built"
    fields = {
        "name": "small", "version": "1", "summary": "s", "licence": "MIT", "attribution": "a",
        "training_data": "none", "non_commercial_training_data": False, "inputs": [],
        "outputs": [], "quality": "none", "conversion": None, "recorded": None,
        "sha256": SHA256, "size_bytes": len(CONTENT),
        "location": {"kind": "hub", "path": "model.onnx", "url": hub + "/model.onnx"},
    }  # fmt: skip
    path = cards / "small" / "1" / "card.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(fields))
    card = read_card(path)
    with pytest.raises(WeightsError, match=r"models\.build"):
        load("small", folder, cards)

    workshop = Workshop(tmp_path / "workshop")
    assert ensure(card, folder, workshop).note == "hub, made now"
    assert load("small", folder, cards).path.read_bytes() == CONTENT
    assert ensure(card, folder, workshop).note == "hub"

    load("small", folder, cards).path.write_bytes(b"spoilt")
    assert ensure(card, folder, workshop).error is None
    assert load("small", folder, cards).path.read_bytes() == CONTENT


def test_a_hub_weight_without_a_folder_is_refused(tmp_path: Path, hub: str) -> None:
    card = read_card(CARDS / "musicnn-mtt" / "1.0" / "card.json")
    with pytest.raises(WeightsError, match="folder"):
        locate(replace(card, location=Location("hub", "m.onnx", url=hub)), None)
