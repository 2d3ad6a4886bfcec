"""Settings come from the environment, and what nobody reads is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from processors.runtime.settings import Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("OVERTURE_"):
            monkeypatch.delenv(name)


def test_defaults_are_one_small_machine() -> None:
    settings = Settings()
    assert settings.kafka.replication == 1
    assert settings.objects_url == (Path.cwd() / ".overture" / "objects").as_uri()
    assert settings.models_folder == Path(".overture/models")
    assert settings.feast_folder == Path(".overture/feast")


def test_a_field_of_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERTURE_KAFKA__BOOTSTRAP", "broker:9092")
    monkeypatch.setenv("OVERTURE_RECOMMEND__COLD_SHARE", "0.5")
    settings = Settings()
    assert settings.kafka.bootstrap == "broker:9092"
    assert settings.recommend.cold_share == 0.5
    assert settings.recommend.candidates == 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OVERTURE_KAFKA__BOOTSTRAPP", "x"),
        ("OVERTURE_KAFKAA__BOOTSTRAP", "x"),
        ("OVERTURE_DATADIR", "x"),
        ("OVERTURE_KAFKA__REPLICATION", "0"),
        ("OVERTURE_MODERATION__NSFW_REJECT", "1.5"),
        ("OVERTURE_KAFKA__SESSION_TIMEOUT_S", "1"),
        ("OVERTURE_HTTP__PORT", "65536"),
        ("OVERTURE_EMBEDDING__URL", "https://llm.example"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERTURE_REDIS__URL", "redis://:hunter2@host/0")
    monkeypatch.setenv("OVERTURE_MILVUS__TOKEN", "root:hunter2")
    settings = Settings()
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.redis.url.get_secret_value() == "redis://:hunter2@host/0"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().data_dir = Path("x")  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Settings().kafka.bootstrap = "x"  # type: ignore[misc]
