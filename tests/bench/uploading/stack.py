"""The product's own stack as ``make up`` starts it, on free ports, with data of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from infra.local.ports import free_port
from processors.runtime.settings import Settings

WAIT_S = 60.0


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Address of its service; settings of this process name its parts meanwhile."""
    port = free_port()
    os.environ |= {
        # those that were built for this checkout; a new folder of data has none
        "OVERTURE_MODELS__FOLDER": str(Settings().models_folder.resolve()),
        "OVERTURE_DATA_DIR": str(folder / "data"),
        "OVERTURE_KAFKA__BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "OVERTURE_REGISTRY__URL": f"http://127.0.0.1:{free_port()}/apis/ccompat/v7",
        "OVERTURE_REDIS__URL": f"redis://127.0.0.1:{free_port()}/0",
        "OVERTURE_MILVUS__URI": f"http://127.0.0.1:{free_port()}",
        "OVERTURE_WORKER__METRICS_PORT": str(free_port()),
        "OVERTURE_HTTP__PORT": str(port),
        "OVERTURE_AUTH__OFF_FOR_DEVELOPMENT": "true",
    }
    stack = [sys.executable, "-m", "infra.local.stack"]
    # the parts are stopped on the way out, of a time limit too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    subprocess.run([*stack, "up"], check=True)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        subprocess.run([*stack, "down"], check=True)


def put_in_use(bundle: Path, version: str, service: str) -> None:
    """Have the version in use, however well it recommends, and wait until the service answers by it."""
    overture = Path(sys.executable).with_name("overture")
    for arguments in (("register", str(bundle)), ("promote", version, "--force", "--reason", "bench")):
        subprocess.run([overture, "models", *arguments, "--by", "bench"], check=True)
    deadline = time.monotonic() + WAIT_S
    asked = f"{service}/v1/recommendations?user=bench"
    while httpx.get(asked, timeout=30).raise_for_status().json()["model_version"] != version:
        if time.monotonic() > deadline:
            sys.exit(f"the service did not answer by version {version} within {WAIT_S} s")
        time.sleep(0.5)


def memory() -> dict[str, float]:
    """Resident MiB of each process of the stack and its children."""
    found: dict[str, float] = {}
    home = os.environ["OVERTURE_DATA_DIR"]
    for process in psutil.process_iter(["cmdline", "memory_info", "environ"]):
        with_us = (process.info["environ"] or {}).get("OVERTURE_DATA_DIR") == home
        if not with_us or process.pid == os.getpid():
            continue
        name = _name(process.info["cmdline"] or [])
        found[name] = found.get(name, 0.0) + process.info["memory_info"].rss / 2**20
    return found


def _name(command: list[str]) -> str:
    text = " ".join(command)
    for word, name in (("kafka.Kafka", "Kafka broker"), ("-runner.jar", "registry"), ("redis-server", "Redis")):
        if word in text:
            return name
    if "milvus" in text:
        return "Milvus Lite"
    if "overture serve" in text or "granian" in text:
        return "HTTP service"
    if "overture run" in text:
        return "worker: " + ", ".join(command[command.index("run") + 1 :])
    return "supervisor and fork servers"
