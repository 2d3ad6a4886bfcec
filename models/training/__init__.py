"""Training of the small networks: the only place with torch. Nothing here runs in a worker."""
