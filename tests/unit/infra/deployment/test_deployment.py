from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from infra.deployment import capabilities, compose
from infra.local.plan import WORKERS
from processors.catalogue import BY_NAME, CAPABILITIES
from processors.runtime import access
from schemas import topics

ROOT = Path(__file__).parents[4]


def test_the_chart_knows_the_declarations_of_today() -> None:
    assert capabilities.FILE.read_text() == capabilities.text(), "run python -m infra.deployment write"


def test_every_override_of_the_chart_names_a_capability() -> None:
    values = yaml.safe_load((capabilities.FILE.parent / "values.yaml").read_text())
    assert set(values["workers"]["overrides"]) <= set(BY_NAME)


def test_the_compose_file_follows_the_specification_and_runs_each_capability_once() -> None:
    assert compose.problems() == []


def test_the_compose_file_groups_workers_as_the_local_stack_does() -> None:
    services = yaml.safe_load(compose.FILE.read_text())["services"]
    assert {name: tuple(services[name]["command"][1:]) for name in WORKERS} == dict(WORKERS)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("command: [run, media_analysis]", "command: [run, media_analyses]", "there is no capability media_analyses"),
        ("command: [run, media_analysis]", "command: [serve]", "no service runs media_analysis"),
        ("stop_grace_period: 40s", "stop_grace_period: soon", "stop_grace_period"),
    ],
)
def test_a_broken_compose_file_is_named(before: str, after: str, problem: str, tmp_path: Path) -> None:
    text = compose.FILE.read_text()
    assert before in text
    broken = tmp_path / "compose.yaml"
    broken.write_text(text.replace(before, after))
    assert any(problem in found for found in compose.problems(broken))


def test_the_service_may_do_what_its_code_does() -> None:
    """The topics that its modules name are those it has rights for."""
    runtime = [ROOT / "processors/runtime" / name for name in ("service.py", "active_model.py")]
    sources = [*(ROOT / "processors/serving").rglob("*.py"), *runtime]
    named = {name for source in sources for name in _topics_named(source)}
    rights = {r.name for r in access.rules_of_service() if r.kind == "TOPIC" and r.verb != "DESCRIBE"}
    assert {topic.name for topic in named} == rights


def _topics_named(source: Path) -> set[topics.Topic]:
    found: set[topics.Topic] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "schemas.topics":
            for alias in node.names:
                value = getattr(topics, alias.name)
                if isinstance(value, topics.Topic):
                    found.add(value)
                elif alias.name in ("UPLOADS", "UPLOAD_BY_KIND"):
                    found.update(topics.UPLOADS)
    return found


def test_a_capability_may_touch_its_own_topics_only() -> None:
    for each in CAPABILITIES:
        rules = access.rules_of(each)
        assert {r.user for r in rules} == {f"overture-{each.group}"}
        read = {r.name for r in rules if (r.verb, r.kind) == ("READ", "TOPIC")}
        state = {each.state.name} if each.state else set()
        own = {topic.name for topic in (*each.consumes, *each.follows)}
        assert read == own | {name for name, _ in each.retry_topics} | state
        assert {t.name for t in each.produces} <= {r.name for r in rules if r.verb == "WRITE"}
