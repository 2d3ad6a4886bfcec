"""Rules for the values clients send, shared by forms, JSON bodies and parameters."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Mapping
from typing import Annotated

from fastapi import Query, Request
from pydantic import StringConstraints

from processors.serving.problems import ProblemError

ID_PATTERN = r"^[\w.:@+=|~-]{1,128}$"
"""Ids of users, songs and items: one word, so neither a path nor a key separator."""

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN, strict=True)]
QueryId = Annotated[str, Query(pattern=ID_PATTERN, description="User id, as plays carry it.", examples=["ada"])]
_ID = re.compile(ID_PATTERN)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")
_REGION = re.compile(r"[A-Z]{2}")
_COUNT = re.compile(r"[0-9]{1,12}")


def has_visible(text: str) -> bool:
    """Whether a reader would see anything: not only spaces, control and format characters."""
    return any(unicodedata.category(character)[0] not in "CZ" for character in text)


def require_id(name: str, value: str | None) -> str:
    """``value`` if it is a well-formed id.

    Raises:
        ProblemError: 422; missing or malformed.
    """
    if value is None or value == "":
        raise ProblemError(422, "field-missing", f"{name} is required.", pointer=f"/{name}")
    if not _ID.fullmatch(value):
        raise ProblemError(
            422,
            "field-invalid",
            f"{name}: 1 to 128 letters, digits and . : @ + = | ~ _ -",
            pointer=f"/{name}",
        )
    return value


def require_choice(name: str, value: str | None, choices: tuple[str, ...]) -> str:
    """``value`` if it is one of ``choices``.

    Raises:
        ProblemError: 422; missing or another word.
    """
    if value is None or value == "":
        raise ProblemError(422, "field-missing", f"{name} is required.", pointer=f"/{name}")
    if value not in choices:
        raise ProblemError(422, "field-invalid", f"{name}: one of {', '.join(choices)}.", pointer=f"/{name}")
    return value


def require_language(value: str) -> str:
    """``value`` if it looks like a BCP 47 tag.

    Raises:
        ProblemError: 422.
    """
    if not _LANGUAGE.fullmatch(value):
        raise ProblemError(422, "field-invalid", "language: a BCP 47 tag such as zh-Hans.", pointer="/language")
    return value


def require_region(value: str) -> str:
    """``value`` if it looks like an ISO 3166-1 alpha-2 code.

    Raises:
        ProblemError: 422.
    """
    if not _REGION.fullmatch(value):
        raise ProblemError(422, "field-invalid", "region: two capital letters, such as DE.", pointer="/region")
    return value


def require_count(name: str, value: str) -> int:
    """``value`` as a number of things.

    Raises:
        ProblemError: 422; no whole number from 0 to 999999999999.
    """
    if not _COUNT.fullmatch(value):
        raise ProblemError(
            422, "field-invalid", f"{name}: a whole number from 0, 12 digits at most.", pointer=f"/{name}"
        )
    return int(value)


def idempotency_key(request: Request) -> str:
    """The request's ``Idempotency-Key``; a random one without the header.

    Raises:
        ProblemError: 400; not 1 to 255 visible ASCII characters, or given more than once.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return str(uuid.uuid4())
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise ProblemError(400, "idempotency-key", "Idempotency-Key: 1 to 255 visible ASCII characters, once.")
    return keys[0]


def is_media_id(value: str) -> bool:
    """Whether ``value`` could be an id that we have given out."""
    try:
        return str(uuid.UUID(value)) == value
    except ValueError:
        return False


def single(values: Mapping[str, list[str]], name: str) -> str | None:
    """The one value of a form field; None if it was not sent.

    Raises:
        ProblemError: 422; sent more than once.
    """
    found = values.get(name, [])
    if len(found) > 1:
        raise ProblemError(422, "field-duplicate", f"{name} is given {len(found)} times.", pointer=f"/{name}")
    return found[0] if found else None
