"""``overture models`` from the outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from features import milvus_versions
from features.apply import apply_views
from features.views import RECOMMENDER_ITEMS, recommender_items
from infra.local.parts import MilvusServer
from models.recommender_manifest import Measure
from processors.commands.models import app
from processors.item_mapping import item_mapping
from processors.runtime import topics_admin
from processors.runtime.settings import Settings
from processors.runtime.wiring import Wiring
from processors.tools import recommender_fill
from processors.tools.models_registry.gate import GateError
from tests.bundles import variant

pytestmark = [pytest.mark.real, pytest.mark.timeout(180), pytest.mark.usefixtures("nothing_published")]


@pytest.fixture
def wiring(
    streams_settings: Settings, milvus_server: MilvusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Wiring]:
    values = {
        "OVERTURE_DATA_DIR": str(tmp_path / "data"),
        "OVERTURE_KAFKA__BOOTSTRAP": streams_settings.kafka.bootstrap,
        "OVERTURE_REGISTRY__URL": streams_settings.registry.url,
        "OVERTURE_REDIS__URL": streams_settings.redis.url.get_secret_value(),
        "OVERTURE_MILVUS__URI": milvus_server.uri,
        "COLUMNS": "200",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(recommender_fill, "SETTLE_S", 0.1)
    with closing(Wiring(Settings())) as found:
        topics_admin.apply(found.settings.kafka, found.registry, [item_mapping])
        apply_views(found.feast_config)
        yield found


def test_versions_are_registered_listed_promoted_and_rolled_back(wiring: Wiring, tmp_path: Path) -> None:

    def overture(*words: str) -> str:
        done = CliRunner().invoke(app, words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    made = [
        variant(tmp_path / str(days), days, measures=(Measure("warm", "recall@20", mean, mean, mean),))
        for days, mean in ((1, 0.30), (2, 0.31), (3, 0.1))
    ]
    first, second, worse = (each.version for each in made)
    for days in (1, 2, 3):
        assert "registered" in overture("register", str(tmp_path / str(days)), "--by", "ada")
    assert [line.split()[0] for line in overture("list").splitlines()[1:]] == [first, second, worse]
    told_first = overture("promote", first)
    assert f"in use: {first}" in told_first
    assert "warning: none of the " in told_first
    assert f"in use: {second} instead of {first}" in overture("promote", second, "--reason", "newer", "--by", "ada")
    with pytest.raises(GateError):
        overture("promote", worse)
    states = {each["version"]: each["state"] for each in map(orjson.loads, overture("list", "--json").splitlines())}
    assert states == {first: "used before", second: "in use", worse: "registered"}
    told = orjson.loads(overture("show", second, "--json"))
    assert [(event["kind"], event["by"], event["reason"]) for event in told["events"]][1] == (
        "promoted",
        "ada",
        "newer",
    )
    assert told["manifest"]["measures"][0]["mean"] == 0.31
    shown = overture("show", second)
    assert "debug 0000000000000000" in shown
    assert "newer" in shown
    assert f"in use: {first} instead of {second}" in overture("rollback")
    named = milvus_versions.named(wiring.milvus_config, [RECOMMENDER_ITEMS])
    assert named == {RECOMMENDER_ITEMS: recommender_items(first).name}
