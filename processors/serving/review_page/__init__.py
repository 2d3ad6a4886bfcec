"""The moderators' console at ``/review``: static files of ours that read ``/v1/review``."""

from __future__ import annotations

from fastapi import APIRouter

from processors.runtime.review_settings import Oidc, origin
from processors.serving.static_files import StaticRoutes


class ReviewPageRoutes:
    """``/review`` and ``/review/{name}``.

    Args:
        oidc: The OpenID provider by which moderators log in, whose origins the page may ask.
    """

    def __init__(self, oidc: Oidc) -> None:
        asked = dict.fromkeys((origin(oidc.issuer), *oidc.connect)) if oidc.issuer else ()
        self.router: APIRouter = StaticRoutes(__package__, "/review", "/review", tuple(asked)).router
