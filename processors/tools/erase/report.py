"""The outcome of an erasure, for people."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.markup import escape

from processors.tools.erase.logs import FileTrace, TopicTrace
from processors.tools.erase.traces import StoreScan

MOST_ROWS = 50


def show_stores(scan: StoreScan, console: Console) -> None:
    """What was looked through, and where something was found."""
    looked = ", ".join(f"{store} {count}" for store, count in scan.read.items())
    console.print(f"looked through: {looked}")
    for sentence in scan.unread:
        console.print(f"  not looked at: {sentence}")
    if not scan.traces:
        console.print("[green]no store holds a trace[/]")
        return
    console.print(f"[red]{len(scan.traces)} places in stores hold a trace[/]")
    for trace in scan.traces[:MOST_ROWS]:
        console.print(f"  {trace.store} {escape(trace.place)}: {_texts(trace.texts)}")


def show_logs(topics: Sequence[TopicTrace], files: Sequence[FileTrace], console: Console) -> None:
    """Which logs hold something, and until when."""
    if not topics and not files:
        console.print("[green]no log holds a trace[/]")
        return
    console.print("logs that still hold a trace:")
    for topic in topics:
        newest = f"{topic.newest:%Y-%m-%d %H:%M:%S}"
        console.print(f"  {topic.topic}: {topic.records} records, the newest of {newest}, {topic.rule}; {_end(topic)}")
        console.print(f"    {_texts(topic.texts)}")
    for file in files:
        path, changed = escape(os.path.relpath(file.path)), f"{file.changed_at:%Y-%m-%d %H:%M:%S}"
        console.print(f"  {path}: written last at {changed}; gone when {file.until}")
        console.print(f"    {_texts(file.texts)}")


def _texts(texts: Collection[str]) -> str:
    return escape(", ".join(sorted(texts)))


def _end(topic: TopicTrace) -> str:
    if topic.kept:
        return escape(f"never gone: it is the newest value of {', '.join(topic.kept[:3])}")
    if topic.fence:
        return "the user's id stays: it is the fence"
    return f"gone by {topic.until:%Y-%m-%d %H:%M}" if topic.until else "its configuration does not say until when"
