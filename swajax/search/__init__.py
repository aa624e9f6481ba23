"""From rows to a front of tiny networks."""
