"""The page at ``/``: a few static files of ours that read ``/v1/operations``."""

from __future__ import annotations

from fastapi import APIRouter

from processors.serving.static_files import StaticRoutes


class PageRoutes:
    """``/`` and ``/page/{name}``."""

    def __init__(self) -> None:
        self.router: APIRouter = StaticRoutes(__package__, "/", "/page").router
