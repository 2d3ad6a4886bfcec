"""Data sets that models learn from, and how they are split."""
