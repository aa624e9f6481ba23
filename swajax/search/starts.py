"""Starts of a search, found by its sources within their share of the time."""

from collections.abc import Callable

import numpy as np

from swajax.data.problem import Problem
from swajax.objectives import Objective
from swajax.search.config import SearchConfig
from swajax.search.progress import Callback, SearchProgress
from swajax.search.sources import SOURCES, choose_sources, find_starts
from swajax.search.sources.base import StartRequest, Starts
from swajax.types import Key, Network


def find_starts_in_time(
    key: Key,
    train: Problem,
    valid: Problem,
    objective: Objective,
    config: SearchConfig,
    time_budget: float | None,
    clock: Callable[[], float],
    callback: Callback | None,
) -> Starts:
    """Run the sources within their share of the time budget."""
    limits = config.make_spec(train.x.shape[1], train.y.shape[1])
    seconds = np.inf if time_budget is None else config.source_share * time_budget
    begin = clock()

    def watch(num_steps: int, networks_fn: Callable[[], Network]) -> None:
        del networks_fn
        if callback is not None:
            spent = clock() - begin
            callback(SearchProgress("sources", spent, None, num_steps, 0))

    request = StartRequest(
        train,
        valid,
        objective,
        limits,
        config.max_weights,
        config.num_starts,
        seconds=float(seconds),
        clock=clock,
        watch=watch,
    )
    fields = {source.options_field for source in SOURCES.values()} - {None}
    options = {name: getattr(config, name) for name in fields}
    names = choose_sources(config.sources, limits)
    return find_starts(key, request, names, options)
