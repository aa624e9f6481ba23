"""Comparison of the search with its rivals and ablations at equal seconds of work."""
