"""The page at ``/``: a few static files of ours that read ``/v1/operations``. No build step, nothing from elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter, Request, Response

from processors.serving.problems import ProblemError

INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    # pictures come as blobs: an <img> could not send an API key
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # small files, asked again by ETag: a new version of the service shows its own page at once
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class _File:
    data: bytes
    headers: dict[str, str]


class PageRoutes:
    """``/`` and ``/page/{name}``; the files are read once, and no other name leads anywhere."""

    def __init__(self) -> None:
        self._files = {
            each.name: _file(each.name, each.read_bytes())
            for each in files(__package__).joinpath("static").iterdir()
            if _suffix(each.name) in TYPES
        }
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/", self.index, methods=["GET"], response_class=Response)
        self.router.add_api_route("/page/{name}", self.file, methods=["GET"], response_class=Response)

    async def index(self, request: Request) -> Response:
        """The page."""
        return _answer(request, self._files[INDEX])

    async def file(self, name: str, request: Request) -> Response:
        """One of its files."""
        found = self._files.get(name)
        if found is None:
            raise ProblemError(404, "not-found", "Not Found.")
        return _answer(request, found)


def _file(name: str, data: bytes) -> _File:
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    return _File(data, HEADERS | {"ETag": tag, "Content-Type": TYPES[_suffix(name)]})


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]


def _answer(request: Request, file: _File) -> Response:
    if request.headers.get("if-none-match") == file.headers["ETag"]:
        return Response(status_code=304, headers=file.headers)
    return Response(file.data, headers=file.headers)
