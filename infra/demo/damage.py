"""Files that arrive broken."""

from __future__ import annotations

from pathlib import Path

import av


def write_truncated(video: Path, cut: Path, share: float) -> None:
    """An MP4 whose upload broke off: its index comes first, as websites have it, then a part of its content.

    Without moving the index to the front the rest would be no video at all.

    Args:
        video: A whole MP4.
        cut: Where the first part goes.
        share: Part of the bytes that is kept, 0..1.
    """
    whole = cut.with_name("whole.mp4")
    with av.open(str(video)) as source, av.open(str(whole), "w", options={"movflags": "faststart"}) as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    content = whole.read_bytes()
    cut.write_bytes(content[: round(len(content) * share)])
