"""Verdicts that many odd files of any kind share."""

LONG = "media-too-long"
OTHER = "media-type"
UNREADABLE = "media-unreadable"
LIMIT = "media-limit"
CUT = "media-truncated"
ANY = "any"
"""No verdict is wrong for a file with random faults, as long as there is one."""
