"""Gradient descent on gated raw weights, then the pipeline.

The descent is the source `direct` of `swajax.search.sources`, with the gates of the
latent search. Runs repeat with new starts in the remaining time.
"""

import dataclasses

import jax

from figures.quality.rivals.common import RestartsConfig, Search
from swajax.latent_search import DescentConfig
from swajax.search.sources.descent import DescentSourceConfig
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class Config(RestartsConfig):
    """Settings of the descent."""

    descent: DescentConfig = dataclasses.field(
        default_factory=lambda: DescentConfig(
            num_steps=1000, num_starts=8, chunk_steps=25
        )
    )
    """gradient descent on gated weights"""
    explore_share: float = 0.4
    """share of the remaining time for the descent of a run"""


def find_networks(key: Key, search: Search, *, config: Config) -> None:
    """Run one descent, then the pipeline from its results."""
    find_key, run_key = jax.random.split(key)
    options = DescentSourceConfig(descent=config.descent)
    seconds = config.explore_share * search.job.seconds_left()
    starts = search.find_starts(find_key, "direct", options, seconds)
    search.run_pipeline(run_key, starts)
