"""The version that the demo brings: of this release, and what puts it in use."""

from __future__ import annotations

from infra.demo.recommender import BUNDLE
from models.bundled_recommender import BundledRecommender
from models.content_vector import ContentVectoriser
from models.ranker import RankingWeights
from models.recommender_bundle import open_bundle


def test_the_bundle_is_of_this_release() -> None:
    bundle = open_bundle(BUNDLE)
    assert BundledRecommender(bundle, RankingWeights()).version == bundle.manifest.version
    # otherwise nothing that is uploaded could be placed: make demo-bundle
    assert bundle.manifest.content_version == ContentVectoriser().version
    assert not bundle.manifest.dataset.non_commercial


def test_no_id_of_a_user_is_in_it() -> None:
    assert not [path.name for path in BUNDLE.iterdir() if b"world-community-u" in path.read_bytes()]
