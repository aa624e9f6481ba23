"""Change one network by its Gauss-Newton form: fit, prune and grow."""
