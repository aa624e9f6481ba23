"""A front by cross-validation: searches without each fold, then one on all rows."""

import dataclasses
import math
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from swajax.data.folds import divide_into_folds
from swajax.data.problem import MAX_ROWS, Problem, take_rows
from swajax.io import interrupts
from swajax.model.front import Front, find_dominated, pick_smallest
from swajax.model.intervals import error_intervals
from swajax.objectives import Objective
from swajax.refine import batches
from swajax.search import hosts
from swajax.search import pool as pools
from swajax.search.config import SearchConfig
from swajax.search.cross_validation import (
    DECAYS,
    Curve,
    FoldSearch,
    best_of_each_size,
    held_folds,
    make_curve,
    refit_candidates,
    score_fold,
)
from swajax.search.job import Job
from swajax.search.last_polish import polish_pool
from swajax.search.linear_path import find_linear_models
from swajax.search.pool import Pool
from swajax.search.sources import SOURCES
from swajax.search.sources.linear import noise_variance
from swajax.types import Key, Network

FOLD_SHARE = 0.4  # of the time budget, for the searches without the folds
FOLD_STARTS = 0.125  # of the number of starts
FOLD_KEPT, FOLD_PERTURBED = 8, 8  # limits of these searches
NUM_CANDIDATES = 3  # networks of each size that refits compare
FOLD_DECAY = 3  # index in `DECAYS` of the weight decay of these searches
LAST_SHARE = 0.85  # of the remaining time, for the last search
REFIT_DECAY = 3.0  # weight decay of the refits, relative to that of the search
# Standard errors of the difference of two losses: `pick`.
NEAR, CLEAR, NEAR_LINEAR = 0.5, 2.0, 1.0
NEW_SHARE = 4  # intervals are for this many times fewer new rows


SearchFn = Callable[..., tuple[Pool, Job]]
"""(key, rows, config, seconds, *, sources, stage): searches a pool; `sources` are the
rows that the sources fit and those that they validate on, `stage` is a name to report.
"""


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
    held = held_folds(folds[rows.weight > 0])
    quick = _reduce(config, decays)
    end = None if time_budget is None else begin + FOLD_SHARE * time_budget
    found = _search_folds(keys, rows, folds, held, decays, quick, end, clock, search_fn)
    curve = make_curve(found, rows, decays, objective)
    limits = config.make_spec(rows.x.shape[1], rows.y.shape[1])
    linear = find_linear_models(
        rows,
        folds,
        held[: len(found)],
        objective,
        limits,
        config.max_weights,
        choose_unit(rows, objective),
    )
    is_given = config.weight_decay is not None
    if not is_given:
        decay = _limit(curve, rows, objective)
        config = dataclasses.replace(config, weight_decay=decay)
    seconds = (
        None
        if time_budget is None
        else max(LAST_SHARE * (time_budget + begin - clock()), 1e-3)
    )
    parts = tuple(
        take_rows(rows, mask) for mask in (folds != held[0], folds == held[0])
    )
    pool, job = search_fn(key, rows, config, seconds, sources=parts, stage=None)
    pool = best_of_each_size(pool, config.max_weights, NUM_CANDIDATES)
    factor = 1.0 if is_given else REFIT_DECAY
    pool, job, curve = refit_candidates(
        pool, job, folds, held[: len(found)], curve, factor
    )
    pool = polish_pool(pool, job)
    pool, curve, chosen = _join(pool, curve, linear, job)
    return _make_front(pool, curve, chosen, index, limits.num_inputs)


def _search_folds(
    keys: list[Key],
    rows: Problem,
    folds: Int[np.ndarray, " N"],
    held: list[int],
    decays: Float[np.ndarray, " D"],
    config: SearchConfig,
    end: float | None,
    clock: Callable[[], float],
    search_fn: SearchFn,
) -> list[FoldSearch]:
    """Search without each fold until the time `end`, at least without the first."""
    found = []
    for place, fold in enumerate(held):
        is_held, left = folds == fold, len(held) - place
        part = rows._replace(weight=np.where(is_held, 0, rows.weight))
        seconds = None if end is None else max((end - clock()) / left, 1e-3)
        pool, job = search_fn(
            keys[place],
            part,
            config,
            seconds,
            sources=(part, part),
            stage=f"fold {place + 1} of {len(held)}",
        )
        found.append(score_fold(pool, job, is_held, decays))
        # All hosts search without the same folds.
        is_late = hosts.any_process(end is not None and clock() > end)
        if is_late and left > 1:
            job.leave_out(f"{left - 1} of {len(held)} folds")
        if hosts.any_process(interrupts.should_end()) or is_late:
            break
    return found


def check_folds(
    key: Key, train: Problem, folds: Int[np.ndarray, " N"] | None, objective: Objective
) -> Int[np.ndarray, " N"]:
    """Return the fold of each row, at random and even by class if there are none."""
    if folds is None:
        y = np.asarray(train.y)
        codes = (
            np.zeros(len(y)) if objective == "squared" else y @ np.arange(y.shape[1])
        )
        if objective == "logistic":
            codes = y[:, 0]
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        return divide_into_folds(codes, seed)[0]
    if len(folds) != len(train.x) or len(np.unique(folds)) < 2:
        raise ValueError("folds must name at least two folds, one for each row")
    return np.asarray(folds)


def choose_decays(
    rows: Problem, objective: Objective, config: SearchConfig
) -> Float[np.ndarray, " D"]:
    """Return the weight decays to try: that of the user, or multiples of a prior's."""
    if config.weight_decay is not None:
        return np.array([config.weight_decay])
    return choose_unit(rows, objective) * np.array(DECAYS)


def choose_unit(rows: Problem, objective: Objective) -> float:
    """Return the weight decay of a normal prior of variance 1.

    With normal noise of variance s2 and N rows it is 2 s2 / N; the noise is at most the
    error of a linear model. For classes it is 1 / N.
    """
    weight = rows.weight / rows.weight.sum()
    noise = noise_variance(rows) if objective == "squared" else 0.5
    return float(2 * noise * np.square(weight).sum())


def _limit(curve: Curve, rows: Problem, objective: Objective) -> float:
    """Limit the chosen decay of a regression by the noise that it leaves."""
    if objective != "squared":
        return curve.decay
    weight = rows.weight / rows.weight.sum()
    noise = curve.means.min() * np.square(weight).sum()
    return float(min(curve.decay, 2 * noise))


def _reduce(config: SearchConfig, decays: Float[np.ndarray, " D"]) -> SearchConfig:
    """Return the settings of a search without a fold."""
    names = config.sources or ("random", "linear")
    quick = tuple(name for name in names if not SOURCES[name].is_timed)
    return dataclasses.replace(
        config,
        sources=quick or ("random",),
        num_starts=math.ceil(FOLD_STARTS * config.num_starts),
        num_rounds=0,
        num_kept=min(config.num_kept, FOLD_KEPT),
        max_perturbed=min(config.max_perturbed, FOLD_PERTURBED),
        weight_decay=float(decays[min(FOLD_DECAY, len(decays) - 1)]),
    )


def _join(
    pool: Pool,
    curve: Curve,
    linear: tuple[Network, Curve] | None,
    job: Job,
) -> tuple[Pool, Curve, int]:
    """Return one network of each size, their curve, and the index of the picked one.

    It is the better one of its size, or the picked one. Polish can end in a dead weight
    less: a network then has the error of its size.
    """
    curve = curve.at(pool.num_weights)
    is_linear = np.zeros(len(pool.num_weights), bool)
    if linear is not None:
        networks, own = linear
        more = job.train.x.shape[1] - networks.first.shape[1]
        first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
        networks = networks._replace(first=first)
        networks, sizes, loss = batches.simplify_and_score(
            networks, job.train, fit=job.fit, devices=job.devices
        )
        own = own.take(np.flatnonzero(np.isfinite(loss) & (sizes > 0)))
        pool = pools.join([pool, pools.make_pool(networks, sizes, loss)])
        curve = curve.join(own)._replace(sizes=pool.num_weights)
        is_linear = np.concatenate([is_linear, np.ones(len(own.sizes), bool)])
    order = np.lexsort((~is_linear, curve.means, curve.sizes))
    pool, curve, is_linear = pool.take(order), curve.take(order), is_linear[order]
    chosen = pick(curve, is_linear, job.config.max_error)
    is_chosen = np.arange(len(order)) == chosen
    order = np.lexsort((~is_chosen, curve.sizes))
    best = order[np.unique(curve.sizes[order], return_index=True)[1]]
    return pool.take(best), curve.take(best), int(np.argmax(is_chosen[best]))


def pick(
    curve: Curve, is_linear: Bool[np.ndarray, " K"], max_error: float | None
) -> int:
    """Return the index of the picked network, of networks by ascending size.

    It is the largest linear model within one standard error of the best linear model:
    to select inputs costs more, on few rows, than it saves (`figures/tables`). If the
    best network is better than the best linear model by two standard errors, it is the
    smallest one within half a standard error of the best. The standard errors are those
    of differences on the same rows.
    """
    means = curve.means
    best = int(np.argmin(means))
    if max_error is not None:
        return pick_smallest(means, np.zeros(len(means)), max_error)
    if is_linear.any():
        linear = np.flatnonzero(is_linear)
        own = curve.take(linear)
        base = linear[np.argmin(own.means)]
        if means[base] - means[best] <= CLEAR * curve.diff_se(best)[base]:
            is_near = own.means <= own.means.min() + NEAR_LINEAR * own.diff_se()
            return int(linear[np.flatnonzero(is_near)[-1]])
    return pick_smallest(means, NEAR * curve.diff_se(), None)


def _make_front(
    pool: Pool,
    curve: Curve,
    chosen: int,
    index: Int[np.ndarray, " N"],
    num_inputs: int,
) -> Front:
    means = curve.means
    is_dominated = find_dominated(means)
    is_dominated[chosen] = False
    return Front(
        pool.network._replace(first=pool.network.first[:, :num_inputs]),
        pool.num_weights,
        pool.loss,
        means,
        curve.diff_se(),
        chosen,
        error_intervals(curve.losses, curve.weight, max(1, len(index) // NEW_SHARE)),
        is_dominated,
        curve.outputs,
        index[curve.held],
    )
