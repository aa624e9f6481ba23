"""Fitted networks with their table: fronts, evaluation, prediction and files."""
