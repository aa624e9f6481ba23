"""Weight-entangled layers."""
