"""Fronts of known functions and real tables."""
