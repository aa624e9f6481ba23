"""The same gates as the latent search on raw weights, then the same pipeline.

What is found by gradient descent on the weights themselves (`swajax.search.sources`, by
`direct`) is polished and shrunk by the pipeline; again with new starts where that ends
before the time does.
"""

import dataclasses

import jax

from figures.quality.rivals.common import RestartsConfig, Search
from swajax.latent_search import DescentConfig
from swajax.search import sources
from swajax.search.config import ExploreConfig
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class Config(RestartsConfig):
    """How starts are found."""

    search: DescentConfig = dataclasses.field(
        default_factory=lambda: DescentConfig(
            num_steps=1000, num_starts=8, chunk_steps=25
        )
    )
    """the gradient descent on gated weights"""
    explore_share: float = 0.4
    """of the time left, for the descent of a run"""


def find(key: Key, search: Search, *, config: Config) -> None:
    """One descent, and the pipeline from what it finds."""
    find_key, run_key = jax.random.split(key)
    job = search.job
    starts = sources.find_starts(
        find_key,
        search.train,
        search.valid,
        objective=job.fit.objective,
        config=ExploreConfig(by=("direct",), search=config.search),
        pipeline_config=job.config,
        seconds=config.explore_share * job.seconds_left(),
        clock=job.clock,
    )
    search.run_pipeline(run_key, starts.networks, num_explored=starts.candidate_steps)
