"""Sampling of videos that are too long to decode in full."""

from __future__ import annotations

import math
from typing import Any

from av.packet import Packet

from models.media.container import Opened
from models.media.limits import Limits


class KeyframeChoice:
    """Which packets are decoded when not all can be: key frames, at a distance when there are many.

    The distance comes from the declared duration; where that is missing or wrong it doubles each
    time the budget is used up.
    """

    def __init__(self, opened: Opened, limits: Limits) -> None:
        context = opened.video.codec_context if opened.video is not None else None
        size = context.width * context.height if context is not None else 1
        self._room = max(limits.video_max_samples, limits.keyframe_decode_pixels // max(1, size))
        self._step_ms = opened.declared_ms / self._room
        self._next_ms = -math.inf
        self._count = 0

    def wants(self, packet: Packet[Any]) -> bool:
        """Whether to decode this packet (the empty one at the end always)."""
        if packet.size == 0:
            return True
        at = packet.pts if packet.pts is not None else packet.dts
        if not packet.is_keyframe or at is None or packet.time_base is None:
            return False
        now = 1000.0 * float(at * packet.time_base)
        if now < self._next_ms:
            return False
        self._count += 1
        if self._count > self._room:
            self._count = 0
            self._step_ms = max(2 * self._step_ms, 2 * now / self._room)
        self._next_ms = now + self._step_ms
        return True
