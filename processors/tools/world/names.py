"""Ids of users and items that come from a data set: nobody real has one like them."""

from __future__ import annotations

PREFIX = "world"
RESEARCH_ONLY = ("ml-100k",)
"""Data sets whose licence excludes commercial use; variants of one carry its name and more."""


def user_id(world: str, user: str) -> str:
    """Id of a data set's user in events."""
    return f"{PREFIX}-{world}-u{user}"


def item_id(world: str, item: str) -> str:
    """Id of a data set's item in events."""
    return f"{PREFIX}-{world}-i{item}"


def world_of(item: str) -> str:
    """Name of the data set that an item comes from; empty for an item that users uploaded."""
    return item.removeprefix(f"{PREFIX}-").rpartition("-i")[0] if item.startswith(f"{PREFIX}-") else ""


def is_research_only(item: str) -> bool:
    """Whether an item comes from a data set that may not be used commercially."""
    return item.startswith(tuple(f"{PREFIX}-{world}-" for world in RESEARCH_ONLY))
