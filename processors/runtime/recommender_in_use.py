"""The recommender in use, as capabilities and the service are given it."""

from __future__ import annotations

from models.bundled_recommender import BundledRecommender
from processors.runtime.active_model import ActiveModel
from schemas.errors import UnavailableError


class RecommenderInUse:
    """Whichever version is in use now.

    Args:
        model: Follows the versions; begun.
    """

    def __init__(self, model: ActiveModel[BundledRecommender]) -> None:
        self._model = model

    @property
    def recommender(self) -> BundledRecommender | None:
        """None as long as none was published. Take it once for each piece of work.

        Raises:
            UnavailableError: versions are still being read, or the only one cannot be loaded.
        """
        if pending := self._model.pending:
            raise UnavailableError(f"no recommender yet: {pending}", code="recommender-pending")
        return self.now

    @property
    def now(self) -> BundledRecommender | None:
        """The same, where none yet is none."""
        current = self._model.current
        return None if current is None else current.value
