"""What can go wrong when the stack starts; each message is written for the person at the terminal."""

from __future__ import annotations


class StackError(Exception):
    """Base of the errors that the command line shows without a traceback."""


class ProgramMissingError(StackError):
    """A program or file that a part needs is not on this machine, or is too old."""


class PortTakenError(StackError):
    """Another process listens where a part wants to listen."""


class NotReadyError(StackError):
    """A part does not answer as it should, yet or in the time it was given."""
