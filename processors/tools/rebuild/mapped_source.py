"""Where items lie in the recommender's space, from the state of item_mapping."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from features.checks import check_row, checked_row
from features.views import ITEM_VECTOR, Collection
from processors.item_mapping import feature_row, vector_row
from processors.tools.rebuild.fingerprints import Target
from processors.tools.rebuild.newest import NewestRecords
from processors.tools.rebuild.sources import Derived, Source
from schemas.errors import BadEventError
from schemas.item import ItemChanged, ItemMapped


class MappedSource(Source):
    """Items in the space of one version: their vectors as they were told of, what is filtered by from the catalogue.

    Args:
        records: The state of item_mapping.
        catalogue: The catalogue.
        version: The version in use.
        collection: Its collection.
    """

    leads = False

    def __init__(
        self,
        records: NewestRecords[ItemMapped],
        catalogue: NewestRecords[ItemChanged],
        version: str,
        collection: Collection,
    ) -> None:
        self._records = records
        self._catalogue = catalogue
        self._version = version
        self._collection = collection
        self.targets: tuple[Target, ...] = (ITEM_VECTOR, collection)

    def advance(self) -> set[str]:
        # the catalogue last: an item is then never older there than where it was placed
        return self._records.advance() | self._catalogue.advance()

    def on_their_way(self) -> set[str]:
        return {key for key in self._records if self._behind(key)}

    def known(self) -> Iterable[str]:
        return self._records

    def knows(self, key: str) -> bool:
        return key in self._records

    def places(self, key: str) -> Sequence[tuple[Target, str]]:
        return [(target, key) for target in self.targets]

    def key_of(self, target: Target, row_id: str) -> str:  # noqa: ARG002 (the same for both)
        return row_id

    async def derive(self, keys: Sequence[str]) -> Derived:
        found = Derived()
        for key in keys:
            try:
                self._add(key, found)
            except (ValueError, BadEventError) as error:
                found.failed[key] = str(error)
        return found

    def _add(self, key: str, found: Derived) -> None:
        record, item = self._records.get(key), self._catalogue.get(key)
        if record is None or not record.vector or item is None or item.change != "published":
            return
        if record.model_version != self._version:
            raise ValueError(f"placed by {record.model_version}, not by {self._version}: promote that once more")
        row = vector_row(record, item)
        check_row(self._collection, row)
        found.rows.setdefault(ITEM_VECTOR.name, {})[key] = checked_row(ITEM_VECTOR, feature_row(record))
        found.rows.setdefault(self._collection.name, {})[key] = row

    def _behind(self, key: str) -> bool:
        """Whether the catalogue knows of a later change of the item than was placed."""
        try:
            record, item = self._records.get(key), self._catalogue.get(key)
        except BadEventError:
            return False
        return record is not None and item is not None and item.seq > record.seq
