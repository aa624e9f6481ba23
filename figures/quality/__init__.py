"""Rivals and explorers on teachers, functions and tables, at equal seconds of work."""
