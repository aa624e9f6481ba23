"""From rows to a front of tiny networks: find starts, race, prune, grow, select.

* sources: many networks to start from;
* race: Levenberg-Marquardt steps for all of them, more for the better ones;
* passes: each network loses weights, from the largest size down, and gains the most
  promising ones, from the smallest up; small networks are perturbed on the way, and the
  best networks of each size are kept;
* selection: the front of validation loss against size.

Host code that calls compiled programs on blocks of networks, in float32 unless x64 is
switched on; only the front is polished in float64.
"""

import dataclasses
import time
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Bool, Int

from swajax.data.problem import Problem, check_parts, normalise_weights
from swajax.io import interrupts, processes
from swajax.io.configs import check_range
from swajax.model.front import Front
from swajax.network import resize
from swajax.objectives import Objective
from swajax.refine import batches, buckets
from swajax.search import pool as pools
from swajax.search import stages
from swajax.search.config import SearchConfig
from swajax.search.folds import check_folds, find_front_by_folds
from swajax.search.job import Job, make_job
from swajax.search.pool import Pool
from swajax.search.progress import Callback, SearchProgress, rename_stage
from swajax.search.starts import find_starts_in_time
from swajax.types import Key, Network

NUM_ROUNDS = 3
FEW_ROWS = 1000  # with fewer, a cross-validated search only prunes once
FIRST_SHARE = 0.5  # of the remaining time, for the first prune pass
LAST_STEPS = 200
LAST_SHARE = 1.25  # of the time budget; later, the front is no longer polished


def find_front(
    key: Key,
    train: Problem,
    valid: Problem | None = None,
    *,
    folds: Int[np.ndarray, " N"] | None = None,
    objective: Objective = "squared",
    config: SearchConfig | None = None,
    starts: Network | None = None,
    time_budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    callback: Callback | None = None,
) -> Front:
    """Find the front of tiny networks for a data set: the smallest error of each size.

    Args:
      key: consumed; the same key gives the same front unless a time budget ends the
        work.
      train: rows to fit: x [N, I] scaled to about unit size, y [N, O], weight [N]. Of
        more than `swajax.data.problem.MAX_ROWS` rows a random part is used, as of
        `valid`.
      valid: rows to choose networks by; by default a cross-validation chooses, and all
        rows are fitted.
      folds: fold of each training row in the cross-validation; by default five random
        ones (`swajax.data.folds.divide_into_folds`).
      objective: loss of a row: "squared" (y scaled to unit variance), "logistic" (y 0
        or 1) or "softmax" (y one-hot).
      config: limits, effort and sources; by default `SearchConfig()`.
      starts: networks within the limits of `config`, leaves [R, ...], instead of those
        of the sources.
      time_budget: seconds, compilation included; afterwards only the front is polished,
        for at most a quarter of it.
      clock: returns seconds.
      callback: called after each block of work.

    Returns:
      With `valid`, the networks that no smaller one beats on it, smallest first, and
      the index `pick` of the smallest one within one standard error of the best.
      Otherwise the best network of each size with its cross-validated loss.

    Raises:
      ValueError: rows do not fit together, the objective is unknown, the time budget
        is not above 0, a source does not apply, or no network has a finite loss.
      KeyboardInterrupt: Ctrl-C came before the first networks. Later it ends the work
        after the current block and the front so far is returned, as it is if the
        callback raises this exception; a second Ctrl-C skips the last polish.
      RuntimeError: the process was forked after a search.

    Example:
      >>> import jax, numpy as np
      >>> from swajax.data.problem import Problem
      >>> from swajax.search.config import SearchConfig
      >>> x = np.linspace(-1, 1, 64)[:, None]
      >>> rows = Problem(x, 2 * np.tanh(3 * x), np.ones(64))
      >>> small = SearchConfig(
      ...     max_weights=4, max_depth=1, max_width=2, activations=("tanh",),
      ...     num_starts=8, num_rounds=0, max_perturbed=0, sources=("random",),
      ... )
      >>> front = find_front(jax.random.key(0), rows, rows, config=small)
      >>> int(front.num_weights[front.pick])
      2
    """
    processes.check_not_forked()
    check_parts(train, train if valid is None else valid, objective)
    if valid is None:
        folds = check_folds(key, train, folds, objective)
    check_range("time_budget", time_budget, above=0, unit="s")
    config = config or SearchConfig()
    with interrupts.deferred():
        return _find_front(
            key,
            train,
            valid,
            folds,
            objective,
            config,
            starts,
            time_budget,
            clock,
            callback,
        )


def _find_front(
    key: Key,
    train: Problem,
    valid: Problem | None,
    folds: Int[np.ndarray, " N"] | None,
    objective: Objective,
    config: SearchConfig,
    starts: Network | None,
    time_budget: float | None,
    clock: Callable[[], float],
    callback: Callback | None,
) -> Front:
    train = normalise_weights(train)
    if config.num_rounds is None:
        is_short = valid is None and len(train.x) < FEW_ROWS
        config = dataclasses.replace(config, num_rounds=0 if is_short else NUM_ROUNDS)
    if valid is not None:
        valid = normalise_weights(valid)

    def search_fn(
        key: Key,
        rows: Problem,
        config: SearchConfig,
        seconds: float | None,
        *,
        sources: tuple[Problem, Problem],
        stage: str | None = None,
    ) -> tuple[Pool, Job]:
        watch = rename_stage(callback, stage)
        more = (objective, config, starts, seconds, clock, watch)
        return _search(key, rows, sources, *more)

    if valid is None:
        more = (objective, config, time_budget, clock)
        return find_front_by_folds(key, train, folds, *more, search_fn, _polish_pool)
    pool, job = search_fn(key, train, config, time_budget, sources=(train, valid))
    return select(pool, job)


def _search(
    key: Key,
    rows: Problem,
    sources: tuple[Problem, Problem],
    objective: Objective,
    config: SearchConfig,
    starts: Network | None,
    time_budget: float | None,
    clock: Callable[[], float],
    callback: Callback | None,
) -> tuple[Pool, Job]:
    """Find starts by the rows of the sources, and networks of all sizes by `rows`."""
    begin, num_steps = clock(), 0
    source_key, key = jax.random.split(key)
    if starts is None:
        config.check(rows.x.shape[1], objective)
        found = find_starts_in_time(
            source_key, *sources, objective, config, time_budget, clock, callback
        )
        starts, num_steps = found.networks, found.num_steps
        interrupts.should_end(has_results=False)
    spent = clock() - begin
    rest = None if time_budget is None else time_budget - spent
    job = make_job(rows, sources[1], objective, config, rest, clock)

    def report(progress: SearchProgress) -> None:
        callback(
            progress._replace(
                seconds=spent + progress.seconds,
                network_steps=num_steps + progress.network_steps,
            )
        )

    pool = find_pool(key, job, starts, callback=None if callback is None else report)
    return pool, job


def find_pool(
    key: Key, job: Job, starts: Network, *, callback: Callback | None = None
) -> Pool:
    """Find networks of all sizes, before the last polish, until the job's time ends.

    Args:
      key: consumed.
      job: data, settings and clock.
      starts: networks within the limits, leaves [R, ...].
      callback: called after each block of work.

    Raises:
      ValueError: no network has a finite loss, or none within `max_weights` was
        reached.
      KeyboardInterrupt: Ctrl-C came before the first networks.
    """
    starts, pool = _fit_starts(starts, job), None
    num_blocks = stages.num_blocks(batches.count(starts), job)
    try:
        for stage, pool in _run_stages(key, job, starts):
            if callback is not None:
                spent = job.seconds(), pool, job.network_steps
                callback(SearchProgress(stage, *spent, num_blocks))
            is_ready = _is_small(pool, job.config).any()
            is_ending = interrupts.should_end(has_results=bool(is_ready))
            if not len(pool.loss) or (is_ready and (is_ending or job.is_over())):
                break
    except KeyboardInterrupt:
        if pool is None or interrupts.count():  # not from the callback
            raise
    if pool is None or not len(pool.loss):
        raise ValueError("no network has a finite loss: the data hold huge numbers")
    if not _is_small(pool, job.config).any():
        raise ValueError(f"no network of {job.config.max_weights} weights was reached")
    return pool


def _run_stages(key: Key, job: Job, starts: Network) -> stages.Stages:
    pool = yield from stages.race(starts, job)
    num = job.config.num_rounds
    keys = iter(jax.random.split(key, 2 * num + 1))
    for index in range(num):
        share = 1.0 if index else FIRST_SHARE
        pool = yield from stages.prune_pass(next(keys), pool, job, share=share)
        pool = yield from stages.grow_pass(next(keys), pool, job)
    return (yield from stages.prune_pass(next(keys), pool, job))


def select(pool: Pool, job: Job) -> Front:
    """Return the front, its networks polished where that does not hurt on validation.

    In float64 where the backend has it: the last digits count.
    """
    with jax.enable_x64(jax.default_backend() != "tpu"):
        return _select(pool, job)


def _select(pool: Pool, job: Job) -> Front:
    pool = pool.take(_is_small(pool, job.config))
    pool = pool._replace(network=jax.tree.map(_to_float64, pool.network))
    front = pools.front_of(pool, *job.validate(pool.network))
    polished = _polish_front(front, job)
    # Both compete: only validation rows tell which is better.
    pool = pools.join([job.make_pool(part) for part in (front.network, polished)])
    scores = job.validate(pool.network)
    front = pools.front_of(pool, *scores, max_error=job.config.max_error)
    first = front.network.first[:, : job.spec.num_inputs]
    return front._replace(network=front.network._replace(first=first))


def _polish_pool(pool: Pool, job: Job) -> Pool:
    """Polish networks in float64 where the backend has it."""
    with jax.enable_x64(jax.default_backend() != "tpu"):
        pool = pool._replace(network=jax.tree.map(_to_float64, pool.network))
        return job.make_pool(_polish_front(pool, job))


def _polish_front(front: Front | Pool, job: Job) -> Network:
    """Polish the networks of a front until `LAST_SHARE` of the time budget is spent.

    A second Ctrl-C ends it too.
    """
    networks = jax.tree.map(np.copy, front.network)
    sizes = front.num_weights
    for index in buckets.divide(sizes, sizes, job.train, fit=job.fit, num_blocks=1):
        if job.is_over(LAST_SHARE) or interrupts.count() > 1:
            break
        part = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
        part, _ = job.polish(part, sizes[index], LAST_STEPS)
        for leaf, new in zip(networks, part, strict=True):
            leaf[index] = new
    return networks


def _is_small(pool: Pool, config: SearchConfig) -> Bool[np.ndarray, " R"]:
    return pool.num_weights <= config.max_weights


def _fit_starts(networks: Network, job: Job) -> Network:
    """Move starts to the host, cut to the largest size and padded to the inputs."""
    largest = min(2 * job.config.max_weights, buckets.BUCKETS[-1] - 1)
    networks = jax.device_get(resize.cut(networks, num_weights=largest))
    more = job.train.x.shape[1] - networks.first.shape[1]
    first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
    return networks._replace(first=first)


def _to_float64(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf
