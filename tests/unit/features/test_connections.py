from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.feast_store import FeastConfig, connection_string
from features.milvus_index import MilvusConfig
from features.objects import LocalObjects, RemoteObjects, open_objects
from features.redis_client import RedisConfig


def parsed(text: str) -> dict[str, object]:
    """As Feast reads it."""
    options = dict(each.split("=", 1) for each in text.split(",") if "=" in each)
    return {name: json.loads(value) for name, value in options.items()}


def test_feast_s_notation_of_a_redis_url() -> None:
    text = connection_string(RedisConfig("redis://h:7000/3"))
    assert text.split(",")[0] == "h:7000"
    assert parsed(text) == {"db": 3, "socket_timeout": 5.0, "socket_connect_timeout": 5.0}
    text = connection_string(RedisConfig("rediss://me:1e5%2C%3D%22x@h", cluster=True, timeout_s=1))
    assert text.split(",")[0] == "h:6379"
    assert parsed(text) == {
        "ssl": True,
        "username": "me",
        "password": '1e5,="x',
        "socket_timeout": 1,
        "socket_connect_timeout": 1,
    }


def test_an_ipv6_address_is_refused() -> None:
    with pytest.raises(ValueError, match="IPv6"):
        connection_string(RedisConfig("redis://[::1]:6379/0"))


def test_no_secret_is_shown() -> None:
    redis = RedisConfig("redis://me:geheim@h:1/0")
    shown = [
        repr(redis),
        redis.address,
        repr(MilvusConfig("http://h", token="me:geheim")),  # noqa: S106
        repr(FeastConfig(redis, Path("x"), registry="postgresql://me:geheim@h/db")),
    ]
    assert not [text for text in shown if "geheim" in text]
    assert redis.address == "redis://h:1"


def test_objects_by_url(tmp_path: Path) -> None:
    assert isinstance(open_objects((tmp_path / "a b é").as_uri()), LocalObjects)
    assert (tmp_path / "a b é").is_dir()
    remote = open_objects("s3://bucket/pre/fix", {"region": "eu-central-1"})
    assert isinstance(remote, RemoteObjects)
    assert remote._address == "s3://bucket/pre/fix"


def test_options_that_obstore_refuses() -> None:
    with pytest.raises(ValueError, match="s3://bucket"):
        open_objects("s3://bucket", {"region": "x", "secret_access_key": "half of a pair"})


@pytest.mark.parametrize("url", ["", "/folder", "http://host/x", "file://other/x", "s3:///x", "memory:///"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="file:// or s3://"):
        open_objects(url)
