"""A picture of which most is cut away: decoders keep all of it."""

from __future__ import annotations

import io

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

from models.media.frame_feeder import FrameFeeder
from models.media.limits import LIMITS

WIDTH, HEIGHT = 1920, 1088
SHOWN = 80, 72


def cropped_video() -> bytes:
    """Two frames of 1920x1088 whose header lets 80x72 be shown."""
    whole, out = io.BytesIO(), io.BytesIO()
    with av.open(whole, "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8), "rgb24")
        container.mux([packet for each in (frame, frame, None) for packet in stream.encode(each)])
    whole.seek(0)
    with av.open(whole, format="h264") as source, av.open(out, "w", format="h264") as container:
        plain = source.streams.video[0]
        stream = container.add_stream_from_template(plain)
        cut = BitStreamFilterContext(
            f"h264_metadata=crop_right={WIDTH - SHOWN[0]}:crop_bottom={HEIGHT - SHOWN[1]}", plain, stream
        )
        for packet in source.demux(plain):
            for each in cut.filter(packet if packet.size else None):
                each.stream = stream
                container.mux(each)
    return out.getvalue()


def test_a_frame_weighs_what_was_coded_not_what_is_shown() -> None:
    with av.open(io.BytesIO(cropped_video()), format="h264") as container:
        stream = container.streams.video[0]
        feeder = FrameFeeder(stream, LIMITS, keyframes=False)
        frame = next(container.decode(stream))
        assert (frame.width, frame.height) == SHOWN
        assert feeder._held_bytes(frame) >= WIDTH * HEIGHT * 1.4
