"""The running system of the end-to-end tests."""

from tests.e2e.conftest import system

__all__ = ["system"]
