"""The same gates as the latent search on raw weights, then the same pipeline.

What is found by gradient descent on the weights themselves (`swajax.explore`, by
`direct`) is polished and shrunk by the pipeline; again with new starts while there is
time.
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from swajax import explore
from swajax.baselines.common import Found, check_positive
from swajax.baselines.restarts import repeat_pipeline
from swajax.data.splits import Part
from swajax.explore import ExploreConfig, Starts
from swajax.latent_search import SearchConfig
from swajax.objectives import Objective
from swajax.pipeline import PipelineConfig
from swajax.polish import Problem
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class Config:
    """How starts are found."""

    search: SearchConfig = dataclasses.field(
        default_factory=lambda: SearchConfig(
            num_steps=1000, num_starts=8, chunk_steps=25
        )
    )
    """the gradient descent on gated weights"""
    explore_share: float = 0.4
    """of the time left, for the descent of a run"""
    max_restarts: int = 1000
    """runs at most"""

    def __post_init__(self) -> None:
        """Reject numbers that cannot be."""
        check_positive(self)


def run(
    key: Key,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    config: Config,
    pipeline_config: PipelineConfig,
    time_budget: float | None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """The front of all runs; arguments as those of `pipeline.run`."""

    def find(key: Key, left: float | None) -> Starts:
        return explore.find_starts(
            key,
            to_part(train),
            to_part(valid),
            objective=objective,
            config=ExploreConfig(by=("direct",), search=config.search),
            pipeline_config=pipeline_config,
            seconds=np.inf if left is None else config.explore_share * left,
            clock=clock,
        )

    return repeat_pipeline(
        key,
        train,
        valid,
        objective=objective,
        config=pipeline_config,
        time_budget=time_budget,
        clock=clock,
        max_restarts=config.max_restarts,
        find_fn=find,
    )


def to_part(problem: Problem) -> Part:
    """Points as rows of a table, of mean weight 1."""
    x, y, weight = (np.float32(leaf.T) for leaf in problem)
    return Part(x, y, weight / weight.mean())
