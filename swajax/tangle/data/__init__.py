"""Data sets of the search spaces."""
