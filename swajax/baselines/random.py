"""The pipeline from random networks, with new ones while there is time."""

import dataclasses
import time
from collections.abc import Callable

from swajax.baselines.common import Found, check_positive
from swajax.baselines.restarts import repeat_pipeline
from swajax.explore import Starts
from swajax.objectives import Objective
from swajax.pipeline import PipelineConfig
from swajax.polish import Problem
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class Config:
    """How often the pipeline runs."""

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
    return repeat_pipeline(
        key,
        train,
        valid,
        objective=objective,
        config=pipeline_config,
        time_budget=time_budget,
        clock=clock,
        max_restarts=config.max_restarts,
        find_fn=lambda key, left: Starts(None, 0),
    )
