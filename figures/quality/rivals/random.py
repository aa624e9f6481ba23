"""The pipeline from random networks, with new ones while there is time."""

import jax

from figures.quality.rivals.common import RestartsConfig, Search
from swajax.types import Key

Config = RestartsConfig


def find(key: Key, search: Search, *, config: Config) -> None:
    """One run of the pipeline."""
    del config
    search.run_pipeline(jax.random.split(key)[1], None)
