"""Weight-entangled layers: keep probabilities, masked modules and their references."""
