"""What the Helm chart knows of each capability, taken from the declarations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from processors.catalogue import CAPABILITIES
from processors.runtime.access import user_of

FILE = Path(__file__).parents[1] / "helm" / "overture" / "capabilities.yaml"
HEADER = "# Written by `python -m infra.deployment` from processors/catalogue.py; a test keeps it fresh.\n"


def described() -> list[dict[str, Any]]:
    """Each capability with its consumer group, broker user, topics and the most workers that have work."""
    return [
        {
            "name": each.name,
            "group": each.group,
            "user": user_of(each),
            "doc": each.doc,
            "partitions": max(topic.partitions for topic in each.consumes),
            "topics": sorted(topic.name for topic in each.consumes),
        }
        for each in CAPABILITIES
    ]


def text() -> str:
    """The whole file."""
    body: str = yaml.safe_dump({"capabilities": described()}, sort_keys=False, width=120, allow_unicode=True)
    return HEADER + body
