"""What users tell of themselves: ``PUT /v1/users/{user}/profile``."""

from __future__ import annotations

import re
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from processors.runtime.processor import Emit
from processors.serving.documentation import json_body, responses
from processors.serving.fields import ID_PATTERN, require_language
from processors.serving.json_edge import read_json, validate
from processors.serving.parts import ServiceParts
from processors.serving.problems import ProblemError
from schemas.ids import stable_id
from schemas.topics import PROFILE_CHANGED
from schemas.user import Gender, ProfileChanged

OLDEST_BIRTH_YEAR = 1900
_OCCUPATION = re.compile(r"[\w&/' -]*")


def _occupation(value: str) -> str:
    if not _OCCUPATION.fullmatch(value):
        raise ValueError("only letters, digits, spaces and _ - & / '")
    return " ".join(value.split()).lower()


class ProfileIn(BaseModel):
    """A whole profile: what is left out counts as not told."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    birth_year: int | None = Field(None, ge=OLDEST_BIRTH_YEAR, description="Year of birth, not after this year.")
    gender: Gender = "unknown"
    occupation: Annotated[str, AfterValidator(_occupation)] = Field("", max_length=64)
    language: str | None = Field(None, max_length=40, description="BCP 47 tag.")


class ProfileRoutes:
    """``PUT /v1/users/{user}/profile``."""

    def __init__(self, parts: ServiceParts) -> None:
        self._parts = parts
        self._adapter = TypeAdapter(ProfileIn)
        self.router = APIRouter(tags=["ingest"])
        example = {"birth_year": 1990, "gender": "female", "occupation": "engineer", "language": "en"}
        self.router.add_api_route(
            "/v1/users/{user}/profile",
            self.profile,
            methods=["PUT"],
            status_code=202,
            response_class=Response,
            dependencies=parts.gate.needs("ingest"),
            responses=responses({"accepted": 1}, 400, 408, 413, 415, 422, 503, status=202),
            openapi_extra=json_body(ProfileIn.model_json_schema(), example),
        )

    async def profile(self, request: Request, user: Annotated[str, Path(pattern=ID_PATTERN)]) -> Response:
        """Take what a user tells of himself in place of what was told before."""
        body = await read_json(request, self._parts.settings.limits.json_bytes)
        told, now = validate(self._adapter, body), self._parts.now()
        if told.birth_year is not None and told.birth_year > now.year:
            raise ProblemError(422, "field-invalid", f"birth_year: not after {now.year}.", pointer="/birth_year")
        record = ProfileChanged(
            event_id=stable_id("profile", user, now.isoformat(), told.model_dump_json()),
            occurred_at=now,
            user_id=user,
            birth_year=told.birth_year,
            gender=told.gender,
            occupation=told.occupation,
            language=None if told.language is None else require_language(told.language),
        )
        await self._parts.publisher.publish([Emit(PROFILE_CHANGED, user, record)])
        return Response(orjson.dumps({"accepted": 1}), 202, media_type="application/json")
