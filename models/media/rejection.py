"""How code inside the sandbox says that the input is to blame.

The child cannot raise over the pipe: it sends the code and the parent raises ``BadMediaError``.
"""

from __future__ import annotations


class RejectedMediaError(Exception):
    """The input is unusable.

    Attributes:
        code: One of ``schemas.errors.REJECTION_CODES``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
