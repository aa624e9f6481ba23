"""Speed of each part, as ratios measured in one run."""
