"""The pipeline from random networks, repeated in the remaining time."""

import jax

from figures.quality.rivals.common import RestartsConfig, Search
from swajax.types import Key

Config = RestartsConfig


def find_networks(key: Key, search: Search, *, config: Config) -> None:
    """Run the pipeline once."""
    del config
    search.run_pipeline(jax.random.split(key)[1], None)
