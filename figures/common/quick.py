"""Limits of the tiny searches that test the studies; equal ones share programs."""

from swajax.search.config import SearchConfig

QUICK_SEARCH = SearchConfig(
    max_weights=8, num_starts=4, num_rounds=0, max_width=2, max_depth=1
)
