"""What the search for rings of accounts holds, counted; apart from other metrics, as a capability imports it."""

from __future__ import annotations

from prometheus_client import Gauge

FACES_HELD = Gauge("overture_faces_held", "Faces held in the search for rings of accounts, as of its last batch.")
RINGS_STANDING = Gauge("overture_rings_standing", "Rings of accounts suspected, as of the last batch of faces.")
