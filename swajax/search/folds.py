"""A front by cross-validation: searches without each fold, then one on all rows."""

import dataclasses
import math
from collections.abc import Callable
from typing import Protocol

import jax
import numpy as np
from jaxtyping import Float, Int

from swajax.data.problem import MAX_ROWS, Problem, take_rows
from swajax.io import interrupts
from swajax.model.front import Front, find_dominated, pick_smallest
from swajax.model.intervals import error_intervals
from swajax.objectives import Objective
from swajax.search.config import SearchConfig
from swajax.search.cross_validation import (
    DECAYS,
    Curve,
    best_of_each_size,
    held_folds,
    make_curve,
    score_fold,
)
from swajax.search.job import Job, decay_of_classes
from swajax.search.pool import Pool
from swajax.search.sources import SOURCES
from swajax.search.sources.linear import noise_variance
from swajax.types import Key, Network

FOLD_SHARE = 0.4  # of the time budget, for the searches without the folds
FOLD_STARTS = 0.25  # of the number of starts
FOLD_DECAY = 3  # index in `DECAYS` of the weight decay of these searches
NUM_ERRORS = 0.5  # the pick is within this many standard errors of the best
NEW_SHARE = 4  # intervals are for this many times fewer new rows


class SearchFn(Protocol):
    """Searches a pool; `sources` are the rows that sources fit and validate on."""

    def __call__(
        self,
        key: Key,
        rows: Problem,
        config: SearchConfig,
        seconds: float | None,
        *,
        sources: tuple[Problem, Problem],
        stage: str | None,
    ) -> tuple[Pool, Job]: ...


def find_front_by_folds(
    key: Key,
    rows: Problem,
    folds: Int[np.ndarray, " N"],
    objective: Objective,
    config: SearchConfig,
    time_budget: float | None,
    clock: Callable[[], float],
    search_fn: SearchFn,
) -> Front:
    """Search without each fold, choose decay and size, and search on all rows.

    Args:
      key: consumed.
      rows: all rows, NumPy arrays, weights of mean 1.
      folds: fold of each row.
      objective: the loss.
      config: limits and effort of the last search.
      time_budget: seconds for everything.
      clock: returns seconds.
      search_fn: searches a pool.
    """
    begin = clock()
    index = np.arange(len(folds))
    if len(folds) > MAX_ROWS:
        index = np.random.default_rng(0).permutation(len(folds))[:MAX_ROWS]
        rows, folds = take_rows(rows, index), folds[index]
    decays = choose_decays(rows, objective, config)
    *keys, key = jax.random.split(key, len(np.unique(folds)) + 1)
    quick, found = _reduce(config, decays), []
    held = held_folds(folds)
    for place, fold in enumerate(held):
        is_held = folds == fold
        part = rows._replace(weight=np.where(is_held, 0, rows.weight))
        if not part.weight.any():
            continue
        seconds = None
        if time_budget is not None:
            rest = FOLD_SHARE * time_budget - (clock() - begin)
            seconds = max(rest / (len(held) - place), 1e-3)
        stage = f"fold {place + 1} of {len(held)}"
        both = (part, part)
        pool, job = search_fn(
            keys[place], part, quick, seconds, sources=both, stage=stage
        )
        found.append(score_fold(pool, job, is_held, decays))
        if interrupts.should_end():
            break
    curve = make_curve(found, rows, decays, objective)
    config = dataclasses.replace(config, weight_decay=curve.decay)
    seconds = None if time_budget is None else max(time_budget + begin - clock(), 1e-3)
    parts = tuple(
        take_rows(rows, mask) for mask in (folds != held[0], folds == held[0])
    )
    pool, job = search_fn(key, rows, config, seconds, sources=parts, stage=None)
    return _select(pool, job, curve, index)


def choose_decays(
    rows: Problem, objective: Objective, config: SearchConfig
) -> Float[np.ndarray, " D"]:
    """Return the weight decays to try: that of the user, or multiples of a prior's.

    A normal prior of variance 1 and normal noise of variance s2 give the decay
    2 s2 / N; the noise is at most the error of a linear model.
    """
    if config.weight_decay is not None:
        return np.array([config.weight_decay])
    weight = rows.weight / rows.weight.sum()
    unit = decay_of_classes(rows._replace(weight=weight))
    if objective == "squared":
        unit = 2 * noise_variance(rows) * np.square(weight).sum()
    return unit * np.array(DECAYS)


def _reduce(config: SearchConfig, decays: Float[np.ndarray, " D"]) -> SearchConfig:
    """Return the settings of a search without a fold."""
    names = config.sources or ("random", "linear")
    quick = tuple(name for name in names if not SOURCES[name].is_timed)
    return dataclasses.replace(
        config,
        sources=quick or ("random",),
        num_starts=math.ceil(FOLD_STARTS * config.num_starts),
        num_rounds=0,
        weight_decay=float(decays[min(FOLD_DECAY, len(decays) - 1)]),
    )


def _select(pool: Pool, job: Job, curve: Curve, index: Int[np.ndarray, " N"]) -> Front:
    """Return the best network of each size with the error of its size in the folds."""
    pool = best_of_each_size(pool, job.config.max_weights, 1)
    is_known = pool.num_weights >= curve.sizes[0]
    pool = pool.take(is_known) if is_known.any() else pool
    curve = curve.at(np.maximum(pool.num_weights, curve.sizes[0]))
    means, diff_se = curve.means, curve.diff_se()
    num_new = max(1, len(index) // NEW_SHARE)
    return Front(
        pool.network,
        pool.num_weights,
        pool.loss,
        means,
        diff_se,
        pick_smallest(means, diff_se, job.config.max_error, NUM_ERRORS),
        error_intervals(curve.losses, curve.weight, num_new),
        find_dominated(means),
        curve.outputs,
        index[curve.held],
    )
