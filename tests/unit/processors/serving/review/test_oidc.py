"""Moderators who log in at an OpenID provider: a real one, as small as it can be, that signs on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pydantic import ValidationError

from processors.runtime.review_settings import Oidc
from processors.runtime.settings import Settings
from processors.serving.review.oidc import AGAIN_S, Identity, TokenRefusedError, TokenVerifier
from schemas.errors import UnavailableError
from tests.unit.processors.serving.review.queue import Queue, request

RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


class Provider:
    """Discovery document, keys, and a pen."""

    def __init__(self) -> None:
        self.fetched = 0
        self.away = False
        self.claims_issuer = ""
        self.keys: dict[str, Any] = {"rsa": RSA_KEY, "ec": EC_KEY, "RS512": RSA_KEY}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = provider.answer(self.path)
                self.send_response(503 if provider.away or answer is None else 200)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.claims_issuer or self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        if path == "/keys":
            self.fetched += 1
            return {"keys": [self.public(number, key) for number, key in self.keys.items()]}
        return None

    @staticmethod
    def public(number: str, key: Any) -> dict[str, Any]:
        algorithm = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
        said = {"alg": "RS512"} if number == "RS512" else {}
        return algorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": number, "use": "sig"} | said

    def token(self, key: Any = RSA_KEY, kid: str = "rsa", algorithm: str = "RS256", **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "console",
            "sub": "carol",
            "iat": now,
            "exp": now + 300,
            "roles": ["moderator"],
        } | changes
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, key, algorithm=algorithm, headers={"kid": kid})

    def settings(self, **changes: Any) -> Oidc:
        return Oidc(**({"issuer": self.issuer, "client_id": "console"} | changes))


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


async def test_a_good_token_says_who_it_is(provider: Provider) -> None:
    verifier = TokenVerifier(provider.settings())
    assert await verifier.verify(provider.token()) == Identity("carol", moderator=True, senior=False)
    by_curve = provider.token(EC_KEY, "ec", "ES256", roles=["senior-moderator"], aud=["other", "console"])
    assert await verifier.verify(by_curve) == Identity("carol", moderator=True, senior=True)
    assert provider.fetched == 1


async def test_roles_lie_where_the_settings_say(provider: Provider) -> None:
    verifier = TokenVerifier(provider.settings(role_claim="realm_access.roles", moderator_role="mod"))

    async def may(**claims: Any) -> bool:
        return (await verifier.verify(provider.token(**claims))).moderator

    assert await may(realm_access={"roles": ["mod"]})
    assert await may(realm_access={"roles": "x mod"})
    for nothing in (None, "mod", ["mod"], {"roles": {"mod": 1}}, {"roles": 7}, {"roles": "moderator"}):
        assert not await may(realm_access=nothing)


def forged(provider: Provider, header: dict[str, Any], secret: bytes = b"") -> str:
    """A token put together by hand, signed with HMAC or not at all."""
    claims = {
        "iss": provider.issuer,
        "aud": "console",
        "sub": "carol",
        "exp": time.time() + 300,
        "roles": ["moderator"],
    }
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    text = b".".join(parts)
    signature = hmac.new(secret, text, hashlib.sha256).digest() if secret else b""
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


async def test_what_is_forged_or_not_for_us_is_refused(provider: Provider) -> None:
    verifier = TokenVerifier(provider.settings())
    good = provider.token()
    head, body, signature = good.split(".")
    past = int(time.time()) - 400
    public = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    other_body = provider.token(sub="mallory").split(".")[1]
    bad_ones = {
        "another key": provider.token(OTHER_KEY),
        "an unknown key id": provider.token(kid="new"),
        "a key of another kind": provider.token(kid="ec"),
        "an algorithm that is not the key's": provider.token(algorithm="RS512"),
        "an algorithm that is not allowed": provider.token(kid="RS512", algorithm="RS512"),
        "no algorithm": forged(provider, {"alg": "none", "kid": "rsa"}),
        "no algorithm, in capitals": forged(provider, {"alg": "NONE", "kid": "rsa"}),
        "the public key as a shared secret": forged(provider, {"alg": "HS256", "kid": "rsa"}, public),
        "another body": f"{head}.{other_body}.{signature}",
        "no signature": f"{head}.{body}.",
        "expired": provider.token(exp=past),
        "not yet valid": provider.token(nbf=int(time.time()) + 400),
        "no end": provider.token(exp=None),
        "another audience": provider.token(aud="shop"),
        "no audience": provider.token(aud=None),
        "another issuer": provider.token(iss="https://evil.example"),
        "no issuer": provider.token(iss=None),
        "nobody": provider.token(sub=None),
        "no token": "a.b.c",
        "nothing": "..",
        "too long": good + "x" * 20_000,
    }
    let_in = []
    for name, bad in bad_ones.items():
        with suppress(TokenRefusedError):
            await verifier.verify(bad)
            let_in.append(name)
    assert let_in == []
    assert (await verifier.verify(good)).subject == "carol"


async def test_the_clock_may_be_off_by_a_little(provider: Provider) -> None:
    verifier = TokenVerifier(provider.settings(clock_skew_s=30))
    assert await verifier.verify(provider.token(exp=int(time.time()) - 15))
    with pytest.raises(TokenRefusedError, match="expired"):
        await verifier.verify(provider.token(exp=int(time.time()) - 60))


async def test_a_new_key_is_fetched_and_nobody_can_make_us_ask_at_will(provider: Provider) -> None:
    now = [0.0]
    verifier = TokenVerifier(provider.settings(), lambda: now[0])
    await verifier.verify(provider.token())
    provider.keys = {"new": OTHER_KEY}
    for _ in range(5):
        with pytest.raises(TokenRefusedError):
            await verifier.verify(provider.token(OTHER_KEY, "new"))
    assert provider.fetched == 1
    now[0] += AGAIN_S
    assert (await verifier.verify(provider.token(OTHER_KEY, "new"))).subject == "carol"
    # the old key is withdrawn
    with pytest.raises(TokenRefusedError):
        await verifier.verify(provider.token())
    assert provider.fetched == 2


async def test_keys_are_not_believed_for_ever(provider: Provider) -> None:
    now = [0.0]
    verifier = TokenVerifier(provider.settings(keys_kept_s=60), lambda: now[0])
    await verifier.verify(provider.token())
    provider.away, now[0] = True, 61.0
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"provider.* fetched") as raised:
            await verifier.verify(provider.token())
        assert raised.value.code == "oidc-unavailable"


async def test_a_discovery_document_of_somebody_else_is_not_believed(provider: Provider) -> None:
    provider.claims_issuer = "https://evil.example"
    with pytest.raises(UnavailableError, match="another issuer"):
        await TokenVerifier(provider.settings()).verify(provider.token())


async def test_the_gate_lets_moderators_in_by_key_or_by_token(provider: Provider, tmp_path: Path) -> None:
    settings = Settings(review={"oidc": {"issuer": provider.issuer, "client_id": "console"}})  # type: ignore[arg-type]
    queue = Queue(tmp_path, TokenVerifier(settings.review.oidc), settings=settings)
    await queue.settle(request("r1", proposed="reject"))
    found = (await queue.call("", "GET", "/config")).json()["oidc"]
    assert found == {
        "issuer": provider.issuer,
        "client_id": "console",
        "scopes": "openid profile",
        "token": "id_token",
    }
    carol = provider.token()
    assert (await queue.call(carol, "GET", "/me")).json() == {"moderator": "oidc:carol", "senior": False}
    senior = provider.token(roles=["senior-moderator"], sub="dan")
    assert (await queue.call(senior, "GET", "/me")).json() == {"moderator": "oidc:dan", "senior": True}
    assert (await queue.call("ada", "GET", "/me")).status_code == 200
    assert (await queue.act(carol, "r1", "reject", "avatar-blurred")).status_code == 202
    assert queue.acted[0].moderator == "oidc:carol"
    refused = await queue.call(provider.token(OTHER_KEY), "GET", "/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "token-invalid")
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    stranger = await queue.call(provider.token(roles=[]), "GET", "/me")
    assert (stranger.status_code, stranger.json()["code"]) == (403, "scope-missing")
    async with queue.service.client() as client:
        elsewhere = await client.get("/metrics", headers={"Authorization": f"Bearer {senior}"})
    assert elsewhere.status_code == 403


@pytest.mark.parametrize("issuer", ["http://id.example", "ftp://id.example", "id.example", "http://10.0.0.1"])
def test_a_provider_is_asked_over_https_only(issuer: str) -> None:
    with pytest.raises(ValidationError, match="https"):
        Oidc(issuer=issuer, client_id="c")
    with pytest.raises(ValidationError, match="client_id"):
        Oidc(issuer="https://id.example")
