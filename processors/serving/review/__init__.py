"""The review queue over HTTP: what the moderators' console calls."""
