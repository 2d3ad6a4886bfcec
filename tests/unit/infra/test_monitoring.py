"""Rules, dashboard and pages speak of metrics, labels and commands that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from infra.local.plan import FIRST_METRICS_PORT, WORKERS
from infra.monitoring import alerts, dashboard, generated, metric_list
from infra.monitoring.metric_list import Listed
from processors.runtime.settings import Settings

ROOT = Path(__file__).parents[3]
OTHERS = {
    "up": (),
    "process_start_time_seconds": (),
    "process_resident_memory_bytes": (),
    "process_cpu_seconds_total": (),
}
TARGET_LABELS = {"job", "instance", "le"}
ALERTS = alerts.rules()
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))


def selectors(query: str) -> list[tuple[str, set[str]]]:
    """Metric and labels of each selector of a query."""
    found: list[tuple[str, set[str]]] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name, {m.name for m in node.matchers.matchers}))

    promql_parser.walk(promql_parser.parse(query), visit)
    assert found, query
    return found


def grouped_by(query: str) -> set[str]:
    return {label.strip() for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for label in group.split(",")}


@pytest.fixture(scope="module")
def known() -> dict[str, Listed]:
    return {series: each for each in metric_list.metrics() for series in each.series}


@pytest.mark.parametrize("query", [*(a.expr for a in ALERTS), *dashboard.queries()])
def test_a_query_names_metrics_and_labels_that_are_there(query: str, known: dict[str, Listed]) -> None:
    labels = set(TARGET_LABELS)
    for name, matched in selectors(query):
        assert name in known or name in OTHERS, f"nothing shows {name}"
        own = set(known[name].labels if name in known else ()) | TARGET_LABELS
        if name == "overture_build_info":
            own |= {"overture", "faust", "python", "confluent_kafka"}
        assert matched <= own, f"{name} has no label {matched - own}"
        labels |= own
    assert grouped_by(query) <= labels


def test_a_query_with_a_metric_that_is_not_there_is_noticed(known: dict[str, Listed]) -> None:
    (found,) = selectors('sum by (x) (rate(overture_nothing_total{code="a"}[5m]))')
    assert found == ("overture_nothing_total", {"code"})
    assert found[0] not in known


@pytest.mark.parametrize("alert", ALERTS, ids=lambda a: a.name)
def test_each_alert_has_its_page(alert: alerts.Alert) -> None:
    assert alert.runbook == f"docs/runbooks/{alert.name}.md"
    page = (ROOT / alert.runbook).read_text()
    assert page.startswith(f"# {alert.name}\n")
    assert "\n## Look\n" in page
    assert "\n## Do\n" in page
    assert alert.severity in ("page", "ticket")


def test_alerts_are_named_once_and_each_page_has_its_alert() -> None:
    names = [alert.name for alert in ALERTS]
    assert sorted(names) == sorted(set(names))
    assert {page.stem for page in RUNBOOKS} == set(names)


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda p: p.stem)
def test_a_page_speaks_of_what_there_is(page: Path, known: dict[str, Listed]) -> None:
    text = page.read_text()
    for name in re.findall(r"\boverture_[a-z_]+", text):
        assert name in known or any(each.name == name for each in known.values()), f"nothing shows {name}"
    for variable in re.findall(r"\bOVERTURE_([A-Z_]+)", text):
        section, _, field = variable.lower().partition("__")
        assert field in type(getattr(Settings(), section)).model_fields, f"there is no setting OVERTURE_{variable}"
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"
    for document in re.findall(r"`(docs/[^`]+)`", text):
        assert (ROOT / document).exists(), f"{page.name} names {document}"


def test_the_dashboard_is_what_grafana_imports() -> None:
    document = json.loads(dashboard.document())
    panels = [panel for panel in document["panels"] if panel["type"] != "row"]
    assert len(panels) == sum(len(row) for _, row in dashboard.ROWS)
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in document["panels"]]
    assert len(set(places)) == len(places), "panels lie on each other"
    shown = {name for query in dashboard.queries() for name, _ in selectors(query)}
    left_out = {each.name for each in metric_list.metrics() if not set(each.series) & shown}
    assert left_out <= {"overture_follower_records_total", "overture_follower_caught_up"}


def test_generated_files_are_fresh() -> None:
    assert generated.stale() == [], "run `python -m infra.monitoring`"


def test_prometheus_scrapes_what_the_local_stack_starts() -> None:
    config = yaml.safe_load((ROOT / "infra" / "monitoring" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["static_configs"] for job in config["scrape_configs"]}
    workers = {group["labels"]["worker"]: group["targets"] for group in jobs["overture-worker"]}
    assert workers == {name: [f"127.0.0.1:{FIRST_METRICS_PORT + index}"] for index, name in enumerate(WORKERS)}
    assert jobs["overture-http"] == [{"targets": [f"127.0.0.1:{Settings().http.port}"]}]
    assert config["rule_files"] == [alerts.RULES.name]
