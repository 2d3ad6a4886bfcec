"""Fills a new version of a capability's stores beside the old one, and switches readers between them."""
