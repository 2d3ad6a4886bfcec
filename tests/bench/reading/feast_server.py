"""Feast's own feature server over the same Redis: ``python -m tests.bench.reading.feast_server PORT``."""

from __future__ import annotations

import sys

from feast import feature_server

from features.feast_views import open_store
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring


def main() -> None:
    config = Wiring(Settings()).feast_config
    feature_server.start_server(
        open_store(config.redis, config.registry, config.project, config.folder),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        no_access_log=True,
        workers=1,
        worker_connections=1000,
        max_requests=0,
        max_requests_jitter=0,
        keep_alive_timeout=30,
        registry_ttl_sec=3600,
        tls_key_path="",
        tls_cert_path="",
        metrics=False,
    )


if __name__ == "__main__":
    main()
