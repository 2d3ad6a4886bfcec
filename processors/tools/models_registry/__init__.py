"""What operators do with versions of models."""
