"""Forgetting a user: what is asked for, how far it is, and what still holds a trace."""
