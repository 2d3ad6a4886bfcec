"""Data sets for training, built from what the topics hold and from nothing else."""
