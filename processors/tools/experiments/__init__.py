"""What experiments did: the exposure log joined with plays and interactions, measured by arm."""
