"""What people who run the system look at: the broker's figures, the last uploads, one upload's history."""
