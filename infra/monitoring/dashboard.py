"""The Grafana dashboard, described row by row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, COLUMNS = 8, 8, 3
SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: What it shows.
        queries: PromQL, each with the legend of its lines.
        unit: Grafana's name of the unit.
        stat: Whether a single number is shown, not a line.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    stat: bool = False


def quantile(share: float, metric: str, by: str, where: str = "") -> str:
    """PromQL of a histogram's quantile."""
    rate = f"rate({metric}_bucket{where}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le, {by}) ({rate}))"


def per_second(metric: str, by: str, where: str = "") -> str:
    """PromQL of a counter's rate."""
    return f"sum by ({by}) (rate({metric}{where}[$__rate_interval]))"


def share(part: str, metric: str, by: str) -> str:
    """PromQL of the share that ``part`` (a label matcher) has in a counter's rate."""
    return f"{per_second(metric, by, '{' + part + '}')} / {per_second(metric, by)}"


NAME = "{{capability}}"
ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Uploads",
        (
            Panel("Accepted until published, indexed, rejected: p95", (
                (quantile(0.95, "overture_upload_seconds", "milestone"), "{{milestone}}"),
            ), "s"),
            Panel("Reached a minute", (
                ("60 * " + per_second("overture_upload_seconds_count", "milestone"), "{{milestone}}"),
            )),
            Panel("Dead letters waiting", (("max by (capability) (overture_dead_letters)", NAME),)),
        ),
    ),
    (
        "Capabilities",
        (
            Panel("Lag: age of the oldest event", (("max by (capability) (overture_lag_seconds)", NAME),), "s"),
            Panel("Lag: records", (("sum by (capability) (overture_lag_records)", NAME),)),
            Panel("Events a second", ((per_second("overture_events_total", "capability"), NAME),), "ops"),
            Panel("Work on one event: p95", ((quantile(0.95, "overture_work_seconds", "capability"), NAME),), "s"),
            Panel("From what happened until done with it: p95", (
                (quantile(0.95, "overture_stage_seconds", "capability"), NAME),
            ), "s"),
            Panel("Share retried or given up", (
                (share('outcome=~"retried|dead-lettered"', "overture_events_total", "capability"), NAME),
            ), "percentunit"),
            Panel("Failed tries by code", (
                (per_second("overture_errors_total", "capability, code"), NAME + " {{code}}"),
            ), "ops"),
            Panel("Refused by what is away", (
                (per_second("overture_refusals_total", "capability, code"), NAME + " {{code}}"),
            ), "ops"),
            Panel("Events in hand", (("sum by (capability) (overture_events_in_hand)", NAME),)),
            Panel("Age of the oldest dead letter", (
                ("max by (capability) (overture_dead_letter_age_seconds)", NAME),
            ), "s"),
            Panel("Rebalances in 15 minutes", (
                ("sum by (capability) (increase(overture_rebalances_total[15m]))", NAME),
            )),
            Panel("Last sign of life, partitions held", (
                ("min by (capability) (overture_sign_of_life_age_seconds)", NAME + " seconds"),
                ("sum by (capability) (overture_partitions_assigned)", NAME + " partitions"),
            )),
        ),
    ),
    (
        "Service",
        (
            Panel("Requests a second", ((per_second("overture_http_requests_total", "route"), "{{route}}"),), "reqps"),
            Panel("Time to answer: p99", (
                (quantile(0.99, "overture_http_request_seconds", "route"), "{{route}}"),
            ), "s"),
            Panel("Share of 5xx, and answers without a part", (
                (share('status=~"5.."', "overture_http_requests_total", "route"), "{{route}}"),
                (per_second("overture_recommend_degraded_total", "part"), "without {{part}}, a second"),
            ), "percentunit"),
            Panel("Feature rows missing or unavailable", (
                (share('outcome="missing"', "overture_feature_reads_total", "view"), "{{view}} missing"),
                (share('outcome="unavailable"', "overture_feature_reads_total", "view"), "{{view}} unavailable"),
            ), "percentunit"),
            Panel("Age of the features read: p95", (
                (quantile(0.95, "overture_feature_age_seconds", "view"), "{{view}}"),
            ), "s"),
            Panel("Followers: records not yet applied, skipped", (
                ("max by (follower) (overture_follower_lag_records)", "{{follower}}"),
                ("sum by (follower, code) (increase(overture_follower_skipped_total[15m]))", "{{follower}} {{code}}"),
            )),
            Panel("Recommender: processes by version; loads and failures", (
                ("count by (version) (overture_model_in_use == 1)", "{{version}}"),
                ("sum by (model) (increase(overture_model_loads_total[15m]))", "loads of {{model}}"),
                ("sum by (code) (increase(overture_model_load_failures_total[15m]))", "failed: {{code}}"),
            )),
            Panel("What the recommender did without", (
                (per_second("overture_recommend_fallbacks_total", "reason"), "{{reason}}"),
            ), "ops"),
            Panel("Answered lists: logged, dropped, waiting", (
                (per_second("overture_served_lists_total", "outcome"), "{{outcome}}, a second"),
                ("sum(overture_served_lists_waiting)", "waiting"),
            )),
            Panel("Items in the snapshot", (("max(overture_snapshot_items)", "items"),), stat=True),
            Panel("Age of the snapshot", (("min(overture_snapshot_age_seconds)", "age"),), "s", stat=True),
            Panel("Requests in flight", (("sum(overture_http_requests_in_flight)", "requests"),), stat=True),
        ),
    ),
    (
        "People",
        (
            Panel("Cases that wait for a moderator", (
                ('max by (state, subject) (overture_review_cases{state=~"waiting|second|escalated"})',
                 "{{subject}} {{state}}"),
            )),
            Panel("Age of the oldest open case", (
                ("max by (subject) (overture_review_oldest_seconds)", "{{subject}}"),
            ), "s"),
            Panel("Decided by people", (
                ("max by (subject, decision) (overture_review_decided)", "{{subject}} {{decision}}"),
            )),
            Panel("Faces held, rings suspected", (
                ("max(overture_faces_held)", "faces"),
                ("max(overture_rings_standing)", "rings"),
            )),
        ),
    ),
    (
        "Machines",
        (
            Panel("Answers: broker, registry, Redis, Milvus, objects", (
                ("max by (dependency) (overture_dependency_up)", "{{dependency}}"),
            )),
            Panel("Memory", (
                ('process_resident_memory_bytes{job=~"overture-.*"}', "{{job}} {{instance}}"),
            ), "bytes"),
            Panel("CPU", (
                ('rate(process_cpu_seconds_total{job=~"overture-.*"}[$__rate_interval])', "{{job}} {{instance}}"),
            ), "percentunit"),
            Panel("Up", (('up{job=~"overture-.*"}', "{{job}} {{instance}}"),)),
            Panel("Started", (
                ('time() - process_start_time_seconds{job=~"overture-.*"}', "{{job}} {{instance}}"),
            ), "s"),
            Panel("Versions", (
                ("count by (overture, faust, python) (overture_build_info)", "{{overture}}, Python {{python}}"),
            )),
        ),
    ),
)  # fmt: skip


def queries() -> list[str]:
    """Every query, with a fixed interval in place of Grafana's own."""
    return [
        query.replace("$__rate_interval", "5m") for _, panels in ROWS for panel in panels for query, _ in panel.queries
    ]


def document() -> str:
    """JSON to import in Grafana."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append({"type": "row", "title": title, "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}, "panels": []})
        top += 1
        for index, panel in enumerate(row):
            line, column = divmod(index, COLUMNS)
            panels.append(_panel(panel, column * WIDTH, top + line * HEIGHT))
        top += HEIGHT * -(-len(row) // COLUMNS)
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    dashboard = {
        "uid": "overture",
        "title": "Overture",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": panels,
    }
    return json.dumps(dashboard, indent=1) + "\n"


def _panel(panel: Panel, x: int, y: int) -> dict[str, Any]:
    return {
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }
