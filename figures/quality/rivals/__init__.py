"""Rivals of the search, each with its interface: data in, front of networks out.

Each module has a `Config`, and `find`, which adds the networks of one run to those that
are kept; all are records of swajax, judged by the same code. `run` calls one by name::

    found = baselines.run(
        "magnitude",
        key,
        train,
        valid,
        objective="squared",
        pipeline_config=PipelineConfig(),
        time_budget=60.0,
    )
"""

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax

from figures.quality.rivals import (
    architectures,
    darts_admm,
    direct,
    l0,
    magnitude,
    random,
    scikit_learn,
)
from figures.quality.rivals.common import Found, Search
from swajax.data.problem import Problem
from swajax.objectives import Objective
from swajax.search.config import SearchConfig
from swajax.types import Key

METHODS: dict[str, ModuleType] = {
    "direct": direct,
    "random": random,
    "magnitude": magnitude,
    "l0": l0,
    "darts-admm": darts_admm,
    "architectures": architectures,
    "sklearn": scikit_learn,
}
PIPELINED = ("direct", "random")
"""Those that go through the stages of the search itself."""

__all__ = ["METHODS", "PIPELINED", "Found", "run"]


def run(
    name: str,
    key: Key,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    pipeline_config: SearchConfig,
    config: Any = None,
    time_budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """The front of all runs of a rival, which are made while there is time.

    Args:
      name: of `METHODS`.
      key: consumed.
      train: as of `pipeline.run`, like what is not named here.
      valid: likewise.
      objective: likewise.
      pipeline_config: limits of the networks; of the pipeline, for those that use it.
      config: of the rival, by default its own.
      time_budget: seconds of all runs together; by default `max_restarts` end them.
      clock: likewise.

    Raises:
      ValueError: no network has a finite loss.
    """
    method = METHODS[name]
    config = method.Config() if config is None else config
    search = Search(train, valid, objective, pipeline_config, time_budget, clock)
    for index in range(config.max_restarts):
        method.find(jax.random.fold_in(key, index), search, config=config)
        if search.job.is_over():
            break
    return search.finish()
