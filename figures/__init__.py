"""Measurements of speed and quality, run as modules."""
