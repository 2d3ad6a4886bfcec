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
            UnavailableError: versions are still being read, or the one published last is not loaded, see
                `ActiveModel.pending`.
        """
        if pending := self._model.pending:
            raise UnavailableError(f"no recommender yet: {pending}", code="recommender-pending")
        return self.now

    @property
    def previous(self) -> str | None:
        """Version that the one loaded last took the place of, as its event says; None where there was none."""
        current = self._model.current
        return None if current is None else current.published.previous

    @property
    def now(self) -> BundledRecommender | None:
        """The one loaded last, whatever was published meanwhile: for answers, which should come rather than wait."""
        current = self._model.current
        return None if current is None else current.value
