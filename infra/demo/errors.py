"""What can keep the demo from running at all; the sentence is meant for a person."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot start or go on: a package, a program or the service is missing."""
