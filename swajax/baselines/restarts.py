"""The pipeline again and again with fresh keys, for rivals that give it starts."""

from collections.abc import Callable

import jax

from swajax import pipeline
from swajax.baselines.common import Found, Search
from swajax.explore import Starts
from swajax.objectives import Objective
from swajax.pipeline import PipelineConfig, Progress
from swajax.polish import Problem
from swajax.types import Key


def repeat_pipeline(
    key: Key,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    config: PipelineConfig,
    time_budget: float | None,
    clock: Callable[[], float],
    max_restarts: int,
    find_fn: Callable[[Key, float | None], Starts],
) -> Found:
    """The front of all networks of runs of the pipeline, made while there is time.

    Args:
      key: consumed.
      train: as of `pipeline.run`, like what is not named here.
      valid: likewise.
      objective: likewise.
      config: likewise.
      time_budget: likewise, of all runs together.
      clock: likewise.
      max_restarts: runs at most.
      find_fn: takes a key and the seconds left; gives the starts of a run.
    """
    search = Search(train, valid, objective, config, time_budget, clock)

    def find(key: Key) -> None:
        find_key, run_key = jax.random.split(key)
        starts = find_fn(find_key, search.seconds_left())
        last = None

        def callback(progress: Progress) -> None:
            nonlocal last
            last = progress

        pipeline.run(
            run_key,
            train,
            valid,
            objective=objective,
            config=config,
            starts=starts.networks,
            time_budget=search.seconds_left(),
            clock=clock,
            callback=callback,
        )
        search.job.candidate_steps += starts.candidate_steps + last.candidate_steps
        search.merge(last.pool)

    return search.repeat(key, find, max_restarts=max_restarts)
