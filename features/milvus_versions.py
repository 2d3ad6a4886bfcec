"""Versions of collections side by side in Milvus, and the aliases that choose among them. Everything here blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pymilvus import MilvusClient

from features.milvus_index import MilvusConfig, connect, ensure_collection, milvus_errors
from features.views import RECOMMENDER_ITEMS, Collection, recommender_items

TIMEOUT_S = 60.0


def make(config: MilvusConfig, collections: Iterable[Collection]) -> None:
    """Make collections that are missing; their aliases stay where they are.

    Raises:
        UnavailableError: Milvus does not answer.
        BugError: one is there with other fields.
    """
    with client_of(config) as client:
        for each in collections:
            ensure_collection(client, each)


def move_aliases(config: MilvusConfig, collections: Iterable[Collection]) -> None:
    """Let the alias of each collection name it; readers get it from then on.

    Raises:
        UnavailableError: Milvus does not answer, or a collection was not made.
    """
    with client_of(config) as client:
        for each in collections:
            if _named(client, each.alias) == "":
                client.create_alias(each.name, each.alias, timeout=TIMEOUT_S)
            else:
                client.alter_alias(each.name, each.alias, timeout=TIMEOUT_S)


def named(config: MilvusConfig, aliases: Iterable[str]) -> dict[str, str]:
    """Collection that each alias names; empty for none.

    Raises:
        UnavailableError: Milvus does not answer.
    """
    with client_of(config) as client:
        return {alias: _named(client, alias) for alias in aliases}


def recommender_collections(config: MilvusConfig) -> list[str]:
    """Names of the collections that were made for versions of the recommender, in order.

    Raises:
        UnavailableError: Milvus does not answer.
    """
    with client_of(config) as client:
        return _recommender_collections(client)


def rows(config: MilvusConfig, collections: Iterable[Collection]) -> dict[str, int | None]:
    """Number of rows by name; None where there is no such collection.

    Raises:
        UnavailableError: Milvus does not answer.
    """
    found: dict[str, int | None] = {}
    with client_of(config) as client:
        for each in collections:
            found[each.name] = None
            if client.has_collection(each.name, timeout=TIMEOUT_S):
                client.load_collection(each.name, timeout=TIMEOUT_S)
                [counted] = client.query(
                    each.name, output_fields=["count(*)"], timeout=TIMEOUT_S, consistency_level="Strong"
                )
                found[each.name] = int(counted["count(*)"])
    return found


def drop(config: MilvusConfig, collections: Iterable[Collection]) -> None:
    """Remove collections with their rows; missing ones are no error.

    Raises:
        UnavailableError: Milvus does not answer, or an alias still names one.
    """
    with client_of(config) as client:
        for each in collections:
            if client.has_collection(each.name, timeout=TIMEOUT_S):
                client.drop_collection(each.name, timeout=TIMEOUT_S)


def drop_recommender_collections(config: MilvusConfig, kept: Iterable[str]) -> list[str]:
    """Remove the collections of all versions of the recommender but some; the one that readers get stays, too.

    Args:
        config: The server.
        kept: Versions.

    Returns:
        Names of those removed.

    Raises:
        UnavailableError: Milvus does not answer.
    """
    with client_of(config) as client:
        staying = {recommender_items(version).name for version in kept} | {_named(client, RECOMMENDER_ITEMS)}
        dropped = [name for name in _recommender_collections(client) if name not in staying]
        for name in dropped:
            client.drop_collection(name, timeout=TIMEOUT_S)
        return dropped


def _recommender_collections(client: MilvusClient) -> list[str]:
    names = client.list_collections(timeout=TIMEOUT_S)
    return sorted(name for name in names if name.startswith(f"{RECOMMENDER_ITEMS}_"))


def _named(client: MilvusClient, alias: str) -> str:
    if not client.has_collection(alias, timeout=TIMEOUT_S):
        return ""
    return str(client.describe_alias(alias, timeout=TIMEOUT_S)["collection_name"])


@contextmanager
def client_of(config: MilvusConfig) -> Iterator[MilvusClient]:
    """A connected client for a while; what it raises is translated, see `milvus_errors`."""
    with milvus_errors(config):
        client = connect(config)
        try:
            yield client
        finally:
            client.close()
