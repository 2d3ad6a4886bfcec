"""The figures of `cold_item` as a page."""

from __future__ import annotations

from typing import Any

import numpy as np

COLUMNS = {
    "cold": "cold R@20",
    "cold_ndcg": "cold N@20",
    "all_cold": "R@20 among all cold",
    "warm": "warm R@20",
    "overall": "overall R@20",
    "places": "places",
}


def page(found: dict[str, Any], source: str, command: str) -> str:
    """Markdown."""
    parts = [
        "# Recommender: cold items",
        "",
        f"{source}. All plays count. A fifth of the items is cold, half of these for validation, half for test.",
        f"Mean of splits {', '.join(map(str, found['splits']))}; chosen by the cold validation items. `{command}`.",
        "",
        "Cold: only the cold test items are candidates (168; `among all cold`: those of both halves, 336). Warm: only",
        "warm items are. Overall: nothing masked, warm and cold test plays together; cold items have so many of the 20",
        "places as the validation plays favour. The backbone is LightGCN blended with the plays",
        "(`content_baselines.blended`).",
        "",
        *_methods(found),
        "",
        "Paired by user, 95 % bootstrap interval over users; relative, in all and by split:",
        "",
        *(_pair(f"CB2CF - ridge, {COLUMNS[column]}", each) for column, each in found["cb2cf_minus_ridge"].items()),
        _pair("CB2CF - backbone alone, overall R@20", found["cb2cf_minus_backbone"]["overall"]),
        "",
        "## A modality shuffled among the test items",
        "",
        "Cold Recall@20 lost, paired by user:",
        "",
        "| modality | lost | 95 % interval | by split |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {each['mean']:+.4f} | {each['low']:+.4f}..{each['high']:+.4f} | {_signed(each['by_split'])} |"
            for name, each in found["permuted"].items()
        ),
        *_useless(found["permuted"]),
        "",
        "## Gates",
        "",
        "Mean gate over the test items (at the start the modality's weight in the kernel), with the real modalities",
        "and with three of noise added:",
        "",
        *_columns(found["gates"], "real alone", ".3f"),
        "",
        *_columns(found["gates_with_noise"], "with noise", ".3f"),
        "",
        "## Neighbours of cold items",
        "",
        "Share of the 20 nearest warm items by plays found among the 20 nearest by content, for cold test items with 5",
        "plays or more; before alignment, after the contrastive stage, after the stage with the auxiliary network:",
        "",
        *_columns(found["neighbours"], "neighbours", ".4f"),
    ]
    return "\n".join(parts) + "\n"


def _methods(found: dict[str, Any]) -> list[str]:
    lines = ["| method | " + " | ".join(COLUMNS.values()) + " |", "| --- |" + " --- |" * len(COLUMNS)]
    for name, row in found["means"].items():
        cells = [("%.1f" if key == "places" else "%.4f") % row[key] if key in row else "" for key in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _pair(title: str, each: dict[str, Any]) -> str:
    relative = " ".join(f"{100 * value:+.1f}" for value in each["relative_by_split"])
    interval = f"{each['mean']:+.4f} [{each['low']:+.4f}, {each['high']:+.4f}]"
    return f"- {title}: {interval}; {100 * each['relative']:+.1f} % ({relative})"


def _useless(permuted: dict[str, Any]) -> list[str]:
    """What a modality does not bring: nothing in the mean, or nothing on some of the splits."""
    lines = [f"Not shown to be of use here: {name}." for name, each in permuted.items() if each["low"] <= 0]
    for name, each in permuted.items():
        bare = [str(number + 1) for number, value in enumerate(each["by_split"]) if value <= 0]
        if bare:
            lines.append(f"Shuffling {name} costs nothing on split {', '.join(bare)}: there it holds nothing of use.")
    return ["", *lines] if lines else []


def _signed(values: list[float]) -> str:
    return " ".join(f"{value:+.4f}" for value in values)


def _columns(by_split: list[dict[str, float]], title: str, form: str) -> list[str]:
    names = list(by_split[0])
    rows = [[each[name] for each in by_split] for name in names]
    head = f"| {title} | mean | " + " | ".join(f"split {number + 1}" for number in range(len(by_split))) + " |"
    lines = [head, "| --- |" + " --- |" * (len(by_split) + 1)]
    return lines + [
        f"| {name} | " + " | ".join(format(value, form) for value in (float(np.mean(row)), *row)) + " |"
        for name, row in zip(names, rows, strict=True)
    ]
