"""Every row of a Milvus collection, for checks from outside; vectors stay there."""

from __future__ import annotations

from collections.abc import Iterator

from features.checks import known_collection
from features.milvus_index import MilvusConfig, connect, milvus_errors

BATCH = 10_000
TIMEOUT_S = 60.0


def scan(config: MilvusConfig, collection: str) -> Iterator[tuple[str, int]]:
    """Id and sequence number of every row, all earlier writes included; blocks.

    Args:
        config: The server.
        collection: Alias or name.

    Raises:
        ValueError: an unknown collection.
        UnavailableError: Milvus does not answer, or the collection was not made.
    """
    known_collection(collection)
    with milvus_errors(config):
        client = connect(config)
        try:
            # Lite forgets at a restart which collections were loaded
            client.load_collection(collection, timeout=TIMEOUT_S)
            rows = client.query_iterator(
                collection,
                batch_size=BATCH,
                output_fields=["id", "seq"],
                timeout=TIMEOUT_S,
                consistency_level="Strong",
            )
            while batch := rows.next():
                yield from ((row["id"], row["seq"]) for row in batch)
            rows.close()
        finally:
            client.close()
