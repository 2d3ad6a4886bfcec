"""Makes the stores ready: feature views in Feast, collections and aliases in Milvus. Repeating it changes nothing.

Views go through ``FeatureStore.apply``, never ``feast apply``: that imports every Python file of a folder.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.feast_store import FeastConfig, feast_errors
from features.milvus_index import MilvusConfig, prepare_collections
from features.views import VIEWS


@dataclass(frozen=True)
class Applied:
    """What the stores hold now.

    Attributes:
        views: Registered feature views.
        collections_made: Milvus collections that were not there.
        aliases_made: Aliases that were not there or were moved.
        aliases_elsewhere: Alias -> collection of an older version that it still names.
    """

    views: tuple[str, ...]
    collections_made: tuple[str, ...]
    aliases_made: tuple[str, ...]
    aliases_elsewhere: dict[str, str]


def apply(feast: FeastConfig, milvus: MilvusConfig, *, move_aliases: bool = False) -> Applied:
    """Register every view and make every collection.

    Blocks for seconds (Feast's import). Run it from one process at a time.

    Args:
        feast: The feature store.
        milvus: The vector store.
        move_aliases: Let aliases that name an older collection name the declared one. Only after it was filled:
            readers see it at once.

    Raises:
        UnavailableError: a store does not answer.
        BugError: a collection is there with other fields.
    """
    apply_views(feast)
    made, aliases, elsewhere = prepare_collections(milvus, move_aliases=move_aliases)
    return Applied(tuple(VIEWS), made, aliases, elsewhere)


def apply_views(config: FeastConfig) -> None:
    """Register every feature view.

    Views that the code no longer declares stay, with their data.

    Raises:
        UnavailableError: the registry does not answer.
    """
    from features.feast_views import definitions, open_store

    with feast_errors(config):
        config.folder.mkdir(parents=True, exist_ok=True)
        store = open_store(config.redis, config.registry, config.project, config.folder)
        store.apply(definitions(config.folder), partial=True)
