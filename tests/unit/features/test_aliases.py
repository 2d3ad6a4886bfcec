"""Which version readers get, and when they see a change of it."""

from __future__ import annotations

import dataclasses

import pytest

from features.aliases import FIRST, FRESH_S, ViewAliases, first_versions
from features.views import ITEM_CONTENT, ITEM_PLAYS, VIEWS, View
from schemas.errors import BugError
from tests.fakes.features import MemoryObjects


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> View:
    view = dataclasses.replace(ITEM_CONTENT, name="item_content_v2")
    monkeypatch.setitem(VIEWS, view.name, view)
    return view


async def test_an_alias_moves_and_moves_back(newer: View) -> None:
    now = [0.0]
    objects = MemoryObjects()
    mover, reader = ViewAliases(objects), ViewAliases(objects, clock=lambda: now[0])
    assert await reader.view("item_content") == ITEM_CONTENT
    await mover.move("item_content", newer)
    assert await mover.view("item_content") == newer
    assert await reader.view("item_content") == ITEM_CONTENT
    now[0] += FRESH_S
    assert await reader.view("item_content") == newer
    assert await ViewAliases(objects).view("item_content") == newer
    await mover.move("item_content", ITEM_CONTENT)
    now[0] += FRESH_S
    assert await reader.view("item_content") == ITEM_CONTENT


def test_a_release_that_declares_a_new_version_moves_nobody_to_it(newer: View) -> None:
    tenth = dataclasses.replace(ITEM_CONTENT, name="item_content_v10")
    for declared in ([ITEM_CONTENT, newer, tenth], [tenth, newer, ITEM_CONTENT]):
        assert first_versions(declared) == {"item_content": ITEM_CONTENT}
    assert FIRST["item_content"] == ITEM_CONTENT


async def test_a_name_with_a_version_is_itself(newer: View) -> None:
    aliases = ViewAliases(MemoryObjects())
    assert await aliases.view("item_content_v2") == newer
    with pytest.raises(ValueError, match="no feature view"):
        await aliases.view("item_content_v3")


async def test_what_no_alias_may_name() -> None:
    objects = MemoryObjects()
    aliases = ViewAliases(objects)
    for view in (ITEM_PLAYS, dataclasses.replace(ITEM_CONTENT, name="item_content_v9")):
        with pytest.raises(ValueError, match="no declared version"):
            await aliases.move("item_content", view)
    for told in (b'{"view": "item_content_v9"}', b"[]"):
        await objects.put("feature-aliases/item_content.json", told, "application/json")
        with pytest.raises(BugError, match="this release does not declare"):
            await aliases.view("item_content")
