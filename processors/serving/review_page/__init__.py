"""The moderators' console at ``/review``: static files of ours that read ``/v1/review``."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter

from processors.serving.static_files import StaticRoutes


class ReviewPageRoutes:
    """``/review`` and ``/review/{name}``.

    Args:
        issuer: Address of the OpenID provider by which moderators log in, whose origin the page may ask; empty
            where there is none.
    """

    def __init__(self, issuer: str = "") -> None:
        self.router: APIRouter = StaticRoutes(__package__, "/review", "/review", _origin(issuer)).router


def _origin(issuer: str) -> tuple[str, ...]:
    if not issuer:
        return ()
    parts = urlsplit(issuer)
    # a port, if any, stays; a name or a password would not belong into a header
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return (f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}",)
