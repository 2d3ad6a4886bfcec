"""The section ``review`` of the settings: which cases come first, how long one is lent, who may log in."""

from __future__ import annotations

import ipaddress
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from processors.runtime.section import Section, Share


class Oidc(Section):
    issuer: str = Field(
        "",
        description="URL of the OpenID provider for moderators; https, or http on this machine. Empty: none.",
    )
    client_id: str = Field("", description="The console's client id there; a public client with PKCE.")
    audience: str = Field("", description="What a token's `aud` must name; empty: the client id.")
    jwks_url: str = Field("", description="Where its keys are; empty: as its discovery document says.")
    scopes: str = Field("openid profile", description="Scopes that the console asks for, separated by spaces.")
    token: Literal["id_token", "access_token"] = Field("id_token", description="Which token the console sends.")
    role_claim: str = Field("roles", description="Claim that holds the roles; a.b names b within a.")
    moderator_role: str = Field("moderator", min_length=1, description="Role that may review.")
    senior_role: str = Field("senior-moderator", min_length=1, description="Role that may decide escalated cases too.")
    connect: list[str] = Field(
        [], description="Further origins that the console may ask, such as https://login.example: for its tokens."
    )
    clock_skew_s: float = Field(30.0, ge=0, le=300, description="How far its clock may be off, seconds.")
    keys_kept_s: float = Field(300.0, ge=1, description="Seconds after which its keys are fetched anew.")
    timeout_s: float = Field(5.0, gt=0, description="Longest wait for an answer of it, seconds.")

    @model_validator(mode="after")
    def _whole_provider(self) -> Self:
        if self.issuer and not self.client_id:
            raise ValueError("issuer needs client_id")
        for name, url in (("issuer", self.issuer), ("jwks_url", self.jwks_url)):
            if url and not is_safe(url):
                raise ValueError(f"{name} {url} must be https, or http on this machine")
        for url in self.connect:
            if not is_safe(url) or origin(url) != url:
                raise ValueError(f"connect {url} must be an origin: https, or http on this machine, without a path")
        return self


class Review(Section):
    lease_s: int = Field(300, ge=5, le=86_400, description="Seconds for which a case is lent to one moderator.")
    leases: int = Field(20, ge=2, description="Most cases lent to one moderator at once; the console holds two.")
    skip_s: int = Field(
        600, ge=0, description="Seconds in which a case given back is not offered to the same moderator."
    )
    kept_days: int = Field(
        36,
        ge=36,
        description="Days for which a closed case is kept: longer than the 28 of its topics and the week of a segment.",
    )
    note_chars: int = Field(2000, ge=0, description="Longest note with a decision, characters.")
    picture_bytes: int = Field(4 * 1024**2, ge=1, description="Largest picture that is shown, bytes.")
    uncertainty_weight: float = Field(4.0, ge=0, description="Weight of the machine's doubt in the order of cases.")
    reach_weight: float = Field(3.0, ge=0, description="Weight of how many people may see it.")
    state_weight: float = Field(2.0, ge=0, description="Weight of a moderator having looked already.")
    subject_weight: float = Field(1.0, ge=0, description="Weight of what is reviewed.")
    subjects: dict[Literal["avatar", "media", "ring"], Share] = Field(
        {"avatar": 1.0, "media": 1.0, "ring": 0.5}, description="How urgent each subject is, 0..1."
    )
    reach_full: int = Field(100_000, ge=1, description="People from which more make a case no more urgent.")
    front_after_s: float = Field(
        14_400.0, gt=0, description="A case older than another by this many seconds always comes first."
    )
    oidc: Oidc = Oidc()


def origin(url: str) -> str:
    """Scheme, host and port of ``url``; a name or a password in it would not belong into a header."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"


def is_safe(url: str) -> bool:
    """Whether nobody on the way can change what ``url`` answers."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    return parts.scheme == "http" and local
