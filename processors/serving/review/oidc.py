"""Moderators who log in at an OpenID provider: their bearer tokens, checked against the provider's keys.

Only RS256 and ES256: what a token itself says of its algorithm chooses among these two, and never none or a shared
secret (RFC 8725). Required are ``iss``, ``aud``, ``exp`` and ``sub``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import structlog

from processors.runtime.review_settings import Oidc, is_safe
from schemas.errors import UnavailableError

ALGORITHMS = ("RS256", "ES256")
AGAIN_S = 10.0
"""Least time between two fetches of the keys, whatever key ids tokens name, seconds."""
LONGEST_TOKEN = 16_384
DISCOVERY = "/.well-known/openid-configuration"

log = structlog.get_logger(__name__)


class TokenRefusedError(Exception):
    """A token that opens nothing; the message says why and holds nothing of it."""


@dataclass(frozen=True)
class Identity:
    """Who a token speaks for.

    Attributes:
        subject: The provider's id of the person.
        moderator: Whether they may review.
        senior: Whether they may decide escalated cases.
    """

    subject: str
    moderator: bool
    senior: bool


class TokenVerifier:
    """Checks tokens of one provider; its keys are fetched when first needed and kept for a while.

    Args:
        settings: Whose tokens, and for whom.
        clock: Monotonic clock, seconds.
    """

    def __init__(self, settings: Oidc, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def verify(self, token: str) -> Identity:
        """Who ``token`` speaks for.

        Raises:
            TokenRefusedError: forged, expired, for somebody else, or no token at all.
            UnavailableError: the provider's keys cannot be had at the moment.
        """
        if len(token) > LONGEST_TOKEN:
            raise TokenRefusedError("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise TokenRefusedError("it is no signed token") from error
        if header.get("alg") not in ALGORITHMS:
            raise TokenRefusedError(f"it is not signed with one of {', '.join(ALGORITHMS)}")
        key = await self._key(str(header.get("kid", "")))
        if key is None or key.algorithm_name != header["alg"]:
            raise TokenRefusedError("it is signed with a key that the provider does not name")
        return self._identity(self._claims(token, key))

    def _claims(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        settings = self._settings
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=settings.audience or settings.client_id,
                issuer=settings.issuer,
                leeway=settings.clock_skew_s,
                options={"require": ["iss", "aud", "exp", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise TokenRefusedError(str(error)) from error

    def _identity(self, claims: dict[str, Any]) -> Identity:
        found: Any = claims
        for part in self._settings.role_claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        roles = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
        senior = self._settings.senior_role in roles
        return Identity(str(claims["sub"]), senior or self._settings.moderator_role in roles, senior)

    async def _key(self, number: str) -> jwt.PyJWK | None:
        # a fetch that somebody else's unknown key has caused keeps nobody waiting
        if number in self._keys and self._clock() - self._fetched_at <= self._settings.keys_kept_s:
            return self._keys[number]
        async with self._lock:
            now = self._clock()
            old = now - self._fetched_at > self._settings.keys_kept_s
            # a provider changes its keys by naming a new one; nobody may make us ask it at will
            if (old or number not in self._keys) and now - self._tried_at >= AGAIN_S:
                self._tried_at = now
                self._keys, self._fetched_at = await self._fetch(), now
            elif old:
                raise UnavailableError("the OpenID provider's keys could not be fetched", code="oidc-unavailable")
            return self._keys.get(number)

    async def _fetch(self) -> dict[str, jwt.PyJWK]:
        settings = self._settings
        async with httpx.AsyncClient(timeout=settings.timeout_s) as client:
            try:
                url = settings.jwks_url or await _discovered(client, settings.issuer)
                answer = (await client.get(url)).raise_for_status().json()
                found = jwt.PyJWKSet.from_dict(answer)
            except (httpx.HTTPError, jwt.PyJWTError, ValueError, AttributeError) as error:
                raise UnavailableError(
                    f"the keys of the OpenID provider {settings.issuer} cannot be fetched: {error}",
                    code="oidc-unavailable",
                ) from error
        log.info("keys of the OpenID provider fetched", issuer=settings.issuer, keys=len(found.keys))
        return {key.key_id or "": key for key in found.keys if key.public_key_use in (None, "sig")}


async def _discovered(client: httpx.AsyncClient, issuer: str) -> str:
    answer = (await client.get(issuer.rstrip("/") + DISCOVERY)).raise_for_status().json()
    if answer.get("issuer") != issuer:
        raise ValueError(f"its discovery document is of another issuer: {str(answer.get('issuer'))[:200]!a}")
    url = str(answer.get("jwks_uri", ""))
    if not is_safe(url):
        raise ValueError("its keys are not on https")
    return url
