"""The pipeline from random networks, repeated in the remaining time."""

import jax

from figures.quality.rivals.common import RestartsConfig, Search
from swajax.types import Key

Config = RestartsConfig


def find_networks(key: Key, search: Search, *, config: Config) -> None:
    """Run the pipeline once."""
    del config
    start_key, run_key = jax.random.split(key)
    search.run_pipeline(run_key, search.find_starts(start_key, "random"))
