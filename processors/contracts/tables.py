"""Tables and the flow picture of the README, made from the catalogue and the declarations."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from processors.catalogue import CAPABILITIES
from processors.runtime.processor import Capability
from schemas import topics

LONGEST = 4
BLOCKS = ("flow", "processors", "topics")


def filled(text: str) -> str:
    """``text`` with each block between its two marker comments made anew.

    Raises:
        ValueError: a marker is missing.
    """
    for name in BLOCKS:
        start, end = f"<!-- {name}: generated -->", f"<!-- /{name} -->"
        if start not in text or end not in text:
            raise ValueError(f"the README lacks {start} or {end}")
        head, rest = text.split(start, 1)
        _, tail = rest.split(end, 1)
        text = f"{head}{start}\n{_block(name)}\n{end}{tail}"
    return text


def _block(name: str) -> str:
    match name:
        case "flow":
            return _flow()
        case "processors":
            head = ("processor", "what it does", "consumes", "produces", "models", "stores")
            return _table(head, map(_processor_row, CAPABILITIES))
        case _:
            return _table(("topic", "record", "key", "kept", "what it says"), map(_topic_row, topics.ALL))


def _processor_row(capability: Capability) -> tuple[str, ...]:
    source = inspect.getfile(capability.handler).partition("/processors/")[2]
    link = f"[`{capability.name}`](processors/{source})"
    card = _card(capability)
    return (
        link,
        capability.doc,
        _names(capability.consumes),
        _names(capability.produces),
        card.get("models", ""),
        card.get("stores", ""),
    )


def _card(capability: Capability) -> dict[str, str]:
    """The lines ``models ...`` and ``stores ...`` of the module's docstring."""
    module = inspect.getmodule(capability.handler)
    lines = (line.split(maxsplit=1) for line in (inspect.getdoc(module) or "").splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 2 and words[0] in ("models", "stores")}


def _names(found: Iterable[topics.Topic]) -> str:
    names = [t.name for t in found]
    if all(upload.name in names for upload in topics.UPLOADS):
        names = ["upload.*.created.v1", *(n for n in names if not n.startswith("upload."))]
    if len(names) > LONGEST:
        return f"{len(names)} topics: every result, withdrawals, dead letters"
    return "<br>".join(f"`{name}`" for name in names)


def _topic_row(topic: topics.Topic) -> tuple[str, ...]:
    kept = (
        "newest of each key" if topic.compacted else f"{topic.retention.days} days" if topic.retention else "for ever"
    )
    return f"`{topic.name}`", f"`{topic.record.__name__}`", topic.key, kept, topic.doc


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _flow() -> str:
    """Mermaid: who hands what to whom; the edges are topics."""
    http = "http[HTTP ingest]"
    asked = (
        topics.SONG_PLAYED,
        topics.ITEM_INTERACTED,
        topics.MEDIA_WITHDRAWN,
        topics.AVATAR_CHANGED,
        topics.REVIEW_ACTED,
    )
    makers: dict[str, list[str]] = {t.name: [http] for t in (*topics.UPLOADS, *asked)}
    for capability in CAPABILITIES:
        for topic in capability.produces:
            if makers.setdefault(topic.name, []) != [http]:
                makers[topic.name].append(capability.name)
    edges: dict[tuple[str, str], set[str]] = {}
    for capability in CAPABILITIES:
        for topic in capability.consumes:
            for maker in makers.get(topic.name, []):
                if maker != capability.name:
                    edges.setdefault((maker, capability.name), set()).add(_short(topic))
    lines = ["```mermaid", "flowchart LR", "    app((app)) --> http[HTTP ingest]"]
    lines += [
        f"    {maker} -- {' / '.join(sorted(names))} --> {taker}" for (maker, taker), names in sorted(edges.items())
    ]
    lines += [
        "    item_indexing --> milvus[(Milvus)]",
        "    item_indexing --> feast[(Feast on Redis)]",
        "    play_aggregation --> feast",
        "    item_publication -- catalogue --> serving[HTTP reads]",
        "    feast --> serving",
        "    serving --> recommender((recommender))",
        "```",
    ]
    return "\n".join(lines)


def _short(topic: topics.Topic) -> str:
    domain, entity, verb, _ = topic.name.split(".")
    return domain if domain in ("upload", "play") else f"{entity} {verb}" if domain == "media" else verb
