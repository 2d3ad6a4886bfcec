"""Pages of ours: a folder of static files inside a package. No build step, nothing from elsewhere."""

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


@dataclass(frozen=True)
class _File:
    data: bytes
    headers: dict[str, str]


class StaticRoutes:
    """A page at ``root`` and its files below ``folder``; they are read once, and no other name leads anywhere.

    Args:
        package: Its subfolder ``static`` holds the files, ``index.html`` among them.
        root: Path of the page.
        folder: Path below which its files are, without the last slash.
        connect: Origins besides its own that the page may ask.
    """

    def __init__(self, package: str, root: str, folder: str, connect: tuple[str, ...] = ()) -> None:
        self._headers = headers(connect)
        self._files = {
            each.name: self._file(each.name, each.read_bytes())
            for each in files(package).joinpath("static").iterdir()
            if _suffix(each.name) in TYPES
        }
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route(root, self.index, methods=["GET"], response_class=Response)
        self.router.add_api_route(f"{folder}/{{name}}", self.file, methods=["GET"], response_class=Response)

    async def index(self, request: Request) -> Response:
        """The page."""
        return _answer(request, self._files[INDEX])

    async def file(self, name: str, request: Request) -> Response:
        """One of its files."""
        found = self._files.get(name)
        if found is None:
            raise ProblemError(404, "not-found", "Not Found.")
        return _answer(request, found)

    def _file(self, name: str, data: bytes) -> _File:
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        return _File(data, self._headers | {"ETag": tag, "Content-Type": TYPES[_suffix(name)]})


def headers(connect: tuple[str, ...] = ()) -> dict[str, str]:
    """Headers of every file of a page that may ask its own origin and those of ``connect``."""
    asked = " ".join(("'self'", *connect))
    return {
        # pictures come as blobs: an <img> could not send an API key
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        f"connect-src {asked}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # small files, asked again by ETag: a new version of the service shows its own page at once
        "Cache-Control": "no-cache",
    }


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]


def _answer(request: Request, file: _File) -> Response:
    if request.headers.get("if-none-match") == file.headers["ETag"]:
        return Response(status_code=304, headers=file.headers)
    return Response(file.data, headers=file.headers)
