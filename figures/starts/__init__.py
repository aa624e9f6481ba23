"""Starts: random, supernets, descents."""
