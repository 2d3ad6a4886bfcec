"""Runs that make the tables of figures in docs/bench."""
