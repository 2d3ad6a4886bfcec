"""Every capability, in the order of the flow: read this file to see what runs."""

from __future__ import annotations

from processors.runtime.processor import Capability

CAPABILITIES: tuple[Capability, ...] = ()
BY_NAME: dict[str, Capability] = {c.name: c for c in CAPABILITIES}
