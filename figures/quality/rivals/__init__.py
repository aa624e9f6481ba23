"""Rivals of the search with one interface: data in, front of networks out.

Each rival is a module with a `Config` and a function `find_networks`, which adds the
networks of one run to a `Search`. A new rival is one module and one line of `RIVALS`.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

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


class Rival(NamedTuple):
    """Configuration and function of a rival."""

    config_class: type
    find_fn: Callable[..., None]  # (key, search, *, config)
    is_pipelined: bool = False  # runs the stages of the search


RIVALS: dict[str, Rival] = {
    "direct": Rival(direct.Config, direct.find_networks, is_pipelined=True),
    "random": Rival(random.Config, random.find_networks, is_pipelined=True),
    "magnitude": Rival(magnitude.Config, magnitude.find_networks),
    "l0": Rival(l0.Config, l0.find_networks),
    "darts-admm": Rival(darts_admm.Config, darts_admm.find_networks),
    "architectures": Rival(architectures.Config, architectures.find_networks),
    "sklearn": Rival(scikit_learn.Config, scikit_learn.find_networks),
}

__all__ = ["RIVALS", "Found", "Rival", "run_rival"]


def run_rival(
    name: str,
    key: Key,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    limits: SearchConfig,
    config: Any = None,
    time_budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Repeat runs of a rival within a time budget.

    Args:
      name: key of `RIVALS`.
      key: consumed.
      train: rows to fit.
      valid: rows that choose the networks.
      objective: loss.
      limits: of the networks; settings of the pipeline for rivals that run it.
      config: of the rival [its default].
      time_budget: seconds of all runs together; None: `max_restarts` runs.
      clock: returns seconds.

    Returns:
      Front of all runs and number of network steps.

    Raises:
      ValueError: no network has a finite loss.
    """
    rival = RIVALS[name]
    config = rival.config_class() if config is None else config
    search = Search(train, valid, objective, limits, time_budget, clock)
    for index in range(config.max_restarts):
        rival.find_fn(jax.random.fold_in(key, index), search, config=config)
        if search.job.is_over():
            break
    return search.finish()
