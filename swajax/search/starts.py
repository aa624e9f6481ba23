"""Starts of a search, found by its sources within their share of the time."""

from collections.abc import Callable, Iterator

import numpy as np

from swajax.data.problem import Problem
from swajax.search.job import Job
from swajax.search.progress import Callback, SearchProgress
from swajax.search.sources import SOURCES, choose_sources, find_starts
from swajax.search.sources.base import StartRequest, Starts
from swajax.types import Key, Network


def find_starts_in_time(
    key: Key, train: Problem, valid: Problem, job: Job, callback: Callback | None
) -> Iterator[Starts]:
    """Yield the starts of each source that is ready within its share of the time.

    Args:
      key: consumed.
      train: rows that sources fit.
      valid: rows that sources validate on.
      job: the search.
      callback: called while the first source works.
    """
    config = job.config
    limits = config.make_spec(train.x.shape[1], train.y.shape[1])
    budget = np.inf if job.time_budget is None else job.time_budget

    def watch(num_steps: int, networks_fn: Callable[[], Network]) -> None:
        del networks_fn
        if callback is not None:
            callback(SearchProgress("sources", job.seconds(), None, num_steps, 0))

    request = StartRequest(
        train,
        valid,
        job.fit.objective,
        limits,
        config.max_weights,
        config.num_starts,
        seconds=float(config.source_share * budget),
        clock=job.clock,
        devices=job.devices,
        watch=watch,
    )
    fields = {source.options_field for source in SOURCES.values()} - {None}
    options = {name: getattr(config, name) for name in fields}
    names = choose_sources(config.sources, limits)
    found = find_starts(key, request, names, options)
    for name, starts in zip(names, found, strict=False):
        if starts is None:
            job.leave_out(f"the source {name}")
        else:
            yield starts
