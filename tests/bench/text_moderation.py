"""What text moderation finds, by reason, in sentences that neither its training nor its word lists have seen.

``python -m tests.bench.text_moderation``. The sentences lie in ``text_cases/``: one a line, category first. They were
written down after the weights were trained and the lists were closed, by somebody who looked at neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from models.content_moderation import Rules
from models.text_embedding import TextEncoder
from models.text_moderation import CATEGORIES, CLEAN, TextModerator, TextScores
from tests.bench.report import Figure, Report, Table

CASES = Path(__file__).parent / "text_cases"
LANGUAGES = ("en", "zh")
WORST = 8


@dataclass(frozen=True)
class Case:
    """One sentence.

    Attributes:
        language: ``en`` or ``zh``.
        category: What it is, of ``CATEGORIES``.
        text: The sentence.
    """

    language: str
    category: str
    text: str

    @property
    def bad(self) -> bool:
        return self.category != CLEAN


def cases() -> list[Case]:
    """All of them.

    Raises:
        ValueError: a line without one of the categories, or a sentence twice.
    """
    found = [case for language in LANGUAGES for case in _read(language)]
    if len({case.text for case in found}) != len(found):
        raise ValueError("a sentence stands twice in text_cases")
    return found


def _read(language: str) -> Iterator[Case]:
    for number, line in enumerate((CASES / f"{language}.tsv").read_text("utf-8").splitlines(), start=1):
        category, _, text = line.partition("\t")
        if category not in CATEGORIES or not text:
            raise ValueError(
                f"{language}.tsv, line {number}: a category of {CATEGORIES}, a tab and a text are expected"
            )
        yield Case(language, category, text)


def share(hits: int, of: int) -> str:
    """A share with its 95 % interval (Clopper and Pearson 1934)."""
    if not of:
        return "-"
    low, high = binomtest(hits, of).proportion_ci(0.95, "exact")
    return f"{hits / of:.2f} [{low:.2f}, {high:.2f}]"


def by_reason(found: Sequence[tuple[Case, TextScores]], threshold: float) -> list[list[str | float]]:
    """Precision and recall of each category among what reaches ``threshold``."""
    rows: list[list[str | float]] = []
    for category in CATEGORIES:
        if category == CLEAN:
            continue
        called = [case for case, scores in found if scores.score >= threshold and scores.category == category]
        of_it = [(case, scores) for case, scores in found if case.category == category]
        stopped = sum(scores.score >= threshold for _, scores in of_it)
        named = sum(case.category == category for case in called)
        rows.append(
            [category, len(of_it), share(stopped, len(of_it)), share(named, len(of_it)), share(named, len(called))]
        )
    return rows


def whole(found: Sequence[tuple[Case, float]], threshold: float) -> tuple[str, str, str]:
    """Recall, precision and share of harmless texts stopped."""
    reached = [case for case, score in found if score >= threshold]
    bad = sum(case.bad for case, _ in found)
    hits = sum(case.bad for case in reached)
    return share(hits, bad), share(hits, len(reached)), share(len(reached) - hits, len(found) - bad)


def witnesses(found: Sequence[tuple[Case, TextScores]], rules: Rules) -> list[list[str | float]]:
    """Each witness alone and both together, beside stopping everything."""
    rows: list[list[str | float]] = []
    for name, threshold in (("review", rules.text_review), ("reject", rules.text_reject)):
        for witness, score in (
            ("lists alone", lambda s: s.words[0].severity if s.words else 0.0),
            ("classifier alone", lambda s: s.classifier),
            ("both", lambda s: s.score),
        ):
            pairs = [(case, float(score(scores))) for case, scores in found]
            rows.append([f"{witness}, {name} ({threshold:g})", *whole(pairs, threshold)])
    rows.append(["stop everything (baseline)", *whole([(case, 1.0) for case, _ in found], 0.5)])
    return rows


def main() -> None:
    encoder, moderator, rules = TextEncoder(), TextModerator(), Rules()
    found = [(case, moderator.score(case.text, encoder.encode([case.text], "passage")[0])) for case in cases()]
    bad = [(case, scores) for case, scores in found if case.bad]
    harmless = [(case, scores) for case, scores in found if not case.bad]
    missed = sorted(bad, key=lambda each: each[1].score)[:WORST]
    wrong = sorted(harmless, key=lambda each: -each[1].score)[:WORST]
    Report(
        "text_moderation",
        "Text moderation on sentences it has not seen",
        f"{len(found)} Chinese and English sentences, written by hand after training and lists were closed: "
        f"{len(bad)} that break a rule, {len(harmless)} harmless ones, many of them with words that sound bad.",
        [
            Figure("recall at the review threshold", float(np.mean([s.score >= rules.text_review for _, s in bad]))),
            Figure(
                "harmless texts at the review threshold",
                float(np.mean([s.score >= rules.text_review for _, s in harmless])),
                "<=",
            ),
            Figure(
                "harmless texts at the reject threshold",
                float(np.mean([s.score >= rules.text_reject for _, s in harmless])),
                "<=",
            ),
        ],
        [
            Table(
                f"By reason, at the review threshold ({rules.text_review:g})",
                ("reason", "texts", "stopped", "stopped for that reason (recall)", "precision"),
                by_reason(found, rules.text_review),
            ),
            Table(
                f"By reason, at the reject threshold ({rules.text_reject:g})",
                ("reason", "texts", "stopped", "stopped for that reason (recall)", "precision"),
                by_reason(found, rules.text_reject),
            ),
            Table("By witness", ("witness", "recall", "precision", "harmless stopped"), witnesses(found, rules)),
            Table(
                "By language, both witnesses, review threshold",
                ("language", "recall", "precision", "harmless stopped"),
                [
                    [each, *whole([(c, s.score) for c, s in found if c.language == each], rules.text_review)]
                    for each in LANGUAGES
                ],
            ),
            Table("Missed worst", ("text", "is", "score"), [[c.text, c.category, s.score] for c, s in missed]),
            Table(
                "Stopped wrongly",
                ("text", "taken for", "score"),
                [[c.text, s.category, s.score] for c, s in wrong if s.score >= rules.text_review],
            ),
        ],
        [
            "Shares with 95 % intervals (Clopper-Pearson). Precision holds for this mix of sentences alone.",
            "The writer of the sentences belongs to the project; what users really write is not known here. "
            "`overture moderation calibrate` measures the same on what moderators decide.",
            f"Versions: {moderator.version}, {encoder.version}.",
        ],
    ).publish()


if __name__ == "__main__":
    main()
