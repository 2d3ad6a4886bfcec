"""Checks the one promise from outside: every accepted upload ends once, and the stores say the same as the topics."""
