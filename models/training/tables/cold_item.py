"""Table of the cold-item protocol on ml-100k: ``python -m models.training.tables.cold_item``.

Every method gets the same content and the same splits; whatever is chosen (strengths, neighbours, passes, places of the
cold items) is chosen by the cold validation items of the split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.dataset import Dataset
from models.training import alignment, cb2cf, content_baselines, lightgcn
from models.training.alignment import neighbour_recall, neighbours_by_plays
from models.training.backbone import Backbone
from models.training.cold_item_protocol import CUT, Scores, Values, World, world
from models.training.content import Content, encoded_titles, ml100k_content
from models.training.data import ml100k, splits
from models.training.loop import Watch
from models.training.ranking_metrics import bootstrap
from models.training.tables import cold_item_page, pages

COMMAND = "python -m models.training.tables.cold_item"
CB2CF, RIDGE, KERNEL = "CB2CF", "ridge", "CB2CF before training (kernel path alone)"
STRENGTHS, NEIGHBOURS = (10.0, 30.0, 100.0, 300.0), (5, 10, 20, 50)
NOISE = 3
SHUFFLES = 3
FEW_PLAYS = 5
"""Cold items with fewer plays have no neighbours to speak of."""

Found = dict[str, Values]


def best(at: World, tries: Sequence[Callable[[], Scores]]) -> Scores:
    """The scores with the best cold Recall@20 of the validation items."""
    return max((one() for one in tries), key=lambda scores: np.nanmean(at.cold(scores, "validation")))


def methods(at: World, content: Content, backbone: Backbone, module: cb2cf.CB2CF) -> dict[str, Scores]:
    """Scores of every method that places cold items."""
    flat, plays, warm = content.flat(), at.train, at.warm
    own, _ = cb2cf.mapped(module, content, np.arange(at.items))
    straight = cb2cf.kernel_path(module, content)
    random = np.random.default_rng(0).random((plays.shape[0], at.items), dtype=np.float32)
    return {
        "random": random,
        "popularity by content": best(
            at, [lambda s=s: content_baselines.content_popularity(flat, plays, warm, s) for s in STRENGTHS]
        ),
        "content-kNN": best(at, [lambda k=k: content_baselines.content_knn(flat, plays, warm, k) for k in NEIGHBOURS]),
        RIDGE: best(at, [lambda s=s: content_baselines.ridge(flat, plays, warm, s) for s in STRENGTHS]),
        KERNEL: backbone.users @ straight.T,
        CB2CF: backbone.users @ own.T,
    }


def reports(at: World, graph: Backbone, backbone: Backbone, scores: dict[str, Scores]) -> dict[str, Found]:
    """All reports of one split by method."""
    base = backbone.scores()
    found: dict[str, Found] = {
        "LightGCN alone": {"warm": at.warm_only(graph.scores()), "overall": at.overall(graph.scores(), base, 0)},
        "backbone alone": {"warm": at.warm_only(base), "overall": at.overall(base, base, 0)},
    }
    for name, each in scores.items():
        places = at.quota(base, each)
        found[name] = {
            "cold": at.cold(each, "test"),
            "cold_ndcg": at.cold(each, "test", "ndcg@20"),
            "cold_validation": at.cold(each, "validation"),
            "all_cold": at.among_all_cold(each),
            "overall": at.overall(base, each, places),
            "places": np.array([float(places)]),
        }
    found[CB2CF]["warm"] = found["backbone alone"]["warm"]
    return found


def permuted(at: World, content: Content, backbone: Backbone, module: cb2cf.CB2CF) -> Found:
    """Cold Recall@20 lost where a modality is shuffled among the test items, by modality."""

    def recall(shown: Content) -> Values:
        vectors, _ = cb2cf.mapped(module, shown, np.arange(at.items))
        return at.cold(backbone.users @ vectors.T, "test")

    straight = recall(content)
    return {
        name: np.mean(
            [
                straight - recall(content.permuted(name, at.split.test_items, np.random.default_rng(seed)))
                for seed in range(SHUFFLES)
            ],
            axis=0,
        )
        for name in content.names
    }


def noisy(content: Content, seed: int) -> Content:
    """The content with some modalities of noise, as long as the real ones."""
    random = np.random.default_rng(seed)
    for number in range(NOISE):
        drawn = random.normal(size=(len(content.parts), 48)) / np.sqrt(48)
        content = content.with_part(f"noise {number + 1}", drawn.astype(np.float32), np.ones(len(drawn), np.bool_))
    return content


def mean_gates(module: cb2cf.CB2CF, content: Content, items: NDArray[np.int64]) -> dict[str, float]:
    """Mean gate of each modality over the items that have it."""
    _, gates = cb2cf.mapped(module, content, items)
    has = content.present[items]
    return {name: float(gates[has[:, place], place].mean()) for place, name in enumerate(content.names)}


def aligned_neighbours(at: World, content: Content, backbone: Backbone, watch: Watch) -> dict[str, float]:
    """Recall@20 of the cold test items' neighbours against those by plays, before and after alignment."""
    judged = _played(at.cold_validation, FEW_PLAYS)
    found = alignment.fit_alignment(
        content,
        csr_matrix(at.train + at.cold_validation),
        backbone.items,
        at.warm,
        judged,
        alignment.Config(),
        watch,
    )
    warm = at.split.is_warm(at.items)
    truth = neighbours_by_plays(csr_matrix(at.train + at.cold_test), CUT, warm)
    items = _played(at.cold_test, FEW_PLAYS)
    stages = {"content": found.before, "contrastive": found.contrastive, "with auxiliary": found.tuned}
    means = {name: float(neighbour_recall(each, truth, items, warm).mean()) for name, each in stages.items()}
    return {"chance": CUT / len(at.warm), **means}


def _played(plays: csr_matrix, least: int) -> NDArray[np.int64]:
    return np.flatnonzero(np.asarray(plays.sum(axis=0)).ravel() >= least)


def over_splits(values: list[Values]) -> Values:
    """A user's mean over the splits in which he has a value, for users with any: one draw a user, not one a split."""
    stacked = np.stack(values)
    return np.asarray(np.nanmean(stacked[:, ~np.isnan(stacked).all(axis=0)], axis=0))


def summary(done: list[dict[str, Any]], seeds: list[int]) -> dict[str, Any]:
    """Means over splits, splits beside, paired differences with intervals over users."""
    reported: list[dict[str, Found]] = [each["reports"] for each in done]
    means: dict[str, dict[str, float]] = defaultdict(dict)
    by_split: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for name in reported[0]:
        for column in reported[0][name]:
            each = [float(np.nanmean(split[name][column])) for split in reported]
            by_split[name][column], means[name][column] = each, float(np.mean(each))

    def paired(column: str, one: str, other: str) -> dict[str, Any]:
        pairs = zip(by_split[one][column], by_split[other][column], strict=True)
        return {
            **asdict(bootstrap(over_splits([split[one][column] - split[other][column] for split in reported]))),
            "relative": means[one][column] / means[other][column] - 1,
            "relative_by_split": [a / b - 1 for a, b in pairs],
        }

    return {
        "splits": seeds,
        "means": means,
        "by_split": by_split,
        "cb2cf_minus_ridge": {column: paired(column, CB2CF, RIDGE) for column in ("cold", "all_cold", "overall")},
        "cb2cf_minus_backbone": {"overall": paired("overall", CB2CF, "backbone alone")},
        "permuted": {
            name: {
                **asdict(bootstrap(over_splits([split["permuted"][name] for split in done]))),
                "by_split": [float(np.nanmean(split["permuted"][name])) for split in done],
            }
            for name in done[0]["permuted"]
        },
        "gates": [split["gates"] for split in done],
        "gates_with_noise": [split["gates_with_noise"] for split in done],
        "neighbours": [split["neighbours"] for split in done],
    }


def measure_split(dataset: Dataset, seed: int, watch: Watch) -> dict[str, Any]:
    """Everything of one split."""
    at = world(dataset, splits.cold_items(dataset.interactions, len(dataset.items), seed))
    titles = encoded_titles(dataset, lambda _: None)
    content = ml100k_content(dataset, at.split.is_warm(at.items), ml100k.entities(dataset), titles)
    shape = len(dataset.users), at.items
    graph = lightgcn.fit_lightgcn(dataset.interactions, at.split.warm, shape, lightgcn.Config(), watch)
    backbone = content_baselines.blended(graph, at.train, at.warm)
    judged = cb2cf.Judged(at.split.validation_items, at.cold_validation)
    module = cb2cf.fit_cb2cf(content, at.train, backbone, at.warm, judged, cb2cf.Config(), watch)
    noise = noisy(content, seed)
    with_noise = cb2cf.fit_cb2cf(noise, at.train, backbone, at.warm, judged, cb2cf.Config(), watch)
    scores = methods(at, content, backbone, module)
    return {
        "reports": reports(at, graph, backbone, scores),
        "permuted": permuted(at, content, backbone, module),
        "gates": mean_gates(module, content, at.split.test_items),
        "gates_with_noise": mean_gates(with_noise, noise, at.split.test_items),
        "neighbours": aligned_neighbours(at, content, backbone, watch),
    }


def page(dataset: Dataset, by_split: list[dict[str, Any]], seeds: list[int]) -> tuple[dict[str, Any], str]:
    """Figures, and the same in words and columns."""
    found = summary(by_split, seeds)
    return found, cold_item_page.page(found, dataset.source, COMMAND)


TABLE = pages.Table("recommender-cold-item", measure_split, page)

if __name__ == "__main__":
    pages.command(TABLE)
