"""Material that the project makes to train on: sentences, sounds and drawings with known labels."""
