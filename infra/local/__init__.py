"""The local stack: every real part on one machine, each with its own configuration."""
