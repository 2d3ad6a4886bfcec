"""Makes the demo's recommender: a community of rendered uploads, its plays, and a version that learns from them."""
