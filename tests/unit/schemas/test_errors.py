"""The error tree says what the worker does with each branch."""

from __future__ import annotations

import re

import pytest

from schemas import errors
from schemas.codec import UnknownSchemaError


def tree(cls: type[errors.AppError]) -> list[type[errors.AppError]]:
    return [cls, *(found for sub in cls.__subclasses__() for found in tree(sub))]


@pytest.mark.parametrize("cls", tree(errors.AppError))
def test_codes_are_words_joined_by_hyphens(cls: type[errors.AppError]) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", cls.code)
    assert 400 <= cls.http_status <= 599


def test_only_what_is_away_may_succeed_later() -> None:
    assert [c for c in tree(errors.AppError) if c.retryable] == tree(errors.UnavailableError)


def test_a_code_of_its_own_leaves_the_class_alone() -> None:
    error = errors.BadMediaError("too long", code="media-too-long")
    assert (error.code, str(error)) == ("media-too-long", "too long")
    assert errors.BadMediaError("x").code == "media-unreadable"


def test_rejection_codes_have_sentences() -> None:
    assert errors.BadMediaError.code in errors.REJECTION_CODES
    for code, sentence in errors.REJECTION_CODES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert sentence.endswith(".")


def test_an_unknown_schema_is_a_bad_event() -> None:
    assert issubclass(UnknownSchemaError, errors.BadEventError)
    assert UnknownSchemaError(7).schema_id == 7
