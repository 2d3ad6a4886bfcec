"""Dead letters: found, shown, sent back, put away. What each promises is in ``docs/dead-letters.md``."""
