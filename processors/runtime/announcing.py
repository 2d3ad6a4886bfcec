"""What a process says of its models when it starts."""

from __future__ import annotations

from typing import Protocol, TypeVar

import structlog


class Model(Protocol):
    @property
    def version(self) -> str: ...

    @property
    def providers(self) -> tuple[str, ...]: ...


M = TypeVar("M", bound=Model)
log = structlog.get_logger(__name__)


def announced(model: M) -> M:
    """Say at start which model runs on what."""
    log.info("model loaded", model=model.version, providers=model.providers)
    return model
