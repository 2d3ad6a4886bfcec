"""Which users get what: the split of the traffic, the places drawn by lot, and the log of what was answered."""
