"""What we do with Redis works for a user with the rights of the compose file, and nothing dangerous does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
import yaml

from features.apply import apply_views
from features.attempts import RedisAttemptLog
from features.feast_store import FeastConfig, FeastWriter
from features.feature_reader import RedisFeatureReader
from features.ports import FeatureRow
from features.redis_client import RedisConfig, connect
from features.views import ITEM_PLAYS
from infra.local.parts import RedisServer

pytestmark = pytest.mark.real
COMPOSE = Path(__file__).parents[3] / "infra" / "compose" / "compose.yaml"
PASSWORD = "only-for-this-test"  # noqa: S105


@pytest.fixture
def config(tmp_path: Path) -> Iterator[RedisConfig]:
    """A Redis of its own whose user has the rights that the compose file writes into its ACL file."""
    script = yaml.safe_load(COMPOSE.read_text())["services"]["redis"]["command"][-1]
    rules = re.search(r"user overture on >%s (.*?)\\n", script)
    assert rules
    with RedisServer(tmp_path / "redis") as server:
        with redis.Redis.from_url(server.url) as admin:
            admin.execute_command("ACL", "SETUSER", "overture", "on", f">{PASSWORD}", *rules[1].split())
        yield RedisConfig(server.url.replace("redis://", f"redis://overture:{PASSWORD}@"), cluster=False)


async def test_features_and_attempts_work_for_a_user_without_dangerous_commands(
    config: RedisConfig, tmp_path: Path
) -> None:
    feast = FeastConfig(config, tmp_path / "feast", "", "overture")
    apply_views(feast)
    client = connect(config)
    writer = FeastWriter(feast, client)
    row = FeatureRow(
        "i1", datetime.now(UTC), {"plays": 3, "completion_rate": 0.5, "played_ms": 9, "decayed_plays": 1.0}
    )
    await writer.push(ITEM_PLAYS.name, [row])
    found = (await RedisFeatureReader(client, "overture").read(ITEM_PLAYS.name, ["i1"]))[0]
    assert found is not None
    assert found.values["plays"] == 3
    await writer.delete(ITEM_PLAYS.name, ["i1"])
    assert await RedisFeatureReader(client, "overture").read(ITEM_PLAYS.name, ["i1"]) == [None]
    attempts = RedisAttemptLog(client, address="")
    assert [await attempts.begin("c", "e"), await attempts.begin("c", "e")] == [1, 2]
    await attempts.finish("c", "e")
    for forbidden in (("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "dir")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            await client.execute_command(*forbidden)
    writer.close()
    await client.aclose()
