"""Nobody finds a person by a face: what every route of the service takes, and what it could answer with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from features.views import COLLECTIONS, VIEWS
from tests.fakes.serving import Service

TAKES_FILES = {"/v1/uploads", "/v1/avatars"}
"""Both store what they are sent and answer with an id."""
WORDS = {"face", "faces", "vector", "vectors", "embedding", "likeness", "picture", "pictures", "image", "avatars"}
MAY_NAME = {"/v1/avatars", "/v1/avatars/{user}", "/v1/review/cases/{review_id}/pictures/{number}"}
"""Routes that may have such a word: they store, or tell of the one user or case that was asked for."""


def names_of(schema: Any) -> Iterator[str]:
    """Every property name in a JSON schema."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, dict) else ()
        for each in schema.values():
            yield from names_of(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from names_of(each)


async def operations() -> list[tuple[str, str, dict[str, Any]]]:
    async with Service().client() as client:
        document = (await client.get("/openapi.json")).json()
    found = [(path, method, each) for path, some in document["paths"].items() for method, each in some.items()]
    assert len(found) > 20
    return found


async def test_no_route_takes_a_face() -> None:
    for path, method, operation in await operations():
        asked = operation.get("requestBody", {}).get("content", {})
        binary = [kind for kind in asked if kind != "application/json"]
        assert not binary or path in TAKES_FILES, f"{method} {path} takes {binary}"
        named = [parameter["name"] for parameter in operation.get("parameters", [])]
        named += [name for body in asked.values() for name in names_of(body.get("schema", {}))]
        suspicious = [name for name in (path, *named) if WORDS & set(re.findall("[a-z]+", name.lower()))]
        assert not suspicious or path in MAY_NAME, f"{method} {path}: {suspicious}"


async def test_what_stores_a_picture_answers_with_an_id_only() -> None:
    for path, _, operation in await operations():
        if path in TAKES_FILES:
            [example] = [body["example"] for body in operation["responses"]["202"]["content"].values()]
            assert set(example) <= {"media_id", "event_id", "user", "state"}


def test_no_store_that_is_searched_holds_users() -> None:
    """Milvus knows items and public figures; no view of a user has a face's vector."""
    assert all(alias.startswith("content_") for alias in COLLECTIONS)
    avatar = next(view for view in VIEWS.values() if view.name == "user_avatar_v1")
    assert not {kind for kind in avatar.fields.values() if "vector" in kind or kind == "bytes"}
