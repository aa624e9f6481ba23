"""From a table to a front of tiny networks: explore, polish, shrink, select.

* explore: many small networks, as starts;
* polish: all of them for a few Levenberg-Marquardt steps, the better ones for more;
* shrink: down from the largest, each network loses a weight at a time, large ones
  several; up again, each gains the weights that promise most; small ones are varied on
  the way; networks are kept by size, the best of each;
* select: the front of validation loss against size.

Host code that calls compiled programs on blocks of networks, in the precision that is
switched on, float32 by default; only the front is polished in float64.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool

from swajax.data.problem import Problem
from swajax.model.front import Front
from swajax.network import resize
from swajax.objectives import Objective
from swajax.refine import batches, buckets
from swajax.search import pool as pools
from swajax.search import stages
from swajax.search.config import SearchConfig
from swajax.search.job import Job, make_job
from swajax.search.pool import Pool
from swajax.search.sources.random_networks import draw_starts
from swajax.types import Key, Network

FIRST_SHARE = 0.5  # of the time left, for the first way down
LAST_STEPS = 200
LAST_SHARE = 1.25  # of a time budget, after which the rest of the front stays as it is


class SearchProgress(NamedTuple):
    """What the callback sees after each block of work."""

    stage: str  # polish, shrink, vary or grow
    seconds: float
    pool: Pool
    candidate_steps: int  # Levenberg-Marquardt steps times networks, so far
    num_blocks: int  # of work in all, about


def find_front(
    key: Key,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    config: SearchConfig,
    starts: Network | None = None,
    time_budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    callback: Callable[[SearchProgress], None] | None = None,
) -> Front:
    """The front of networks for a data set.

    Args:
      key: consumed; the same key gives the same front if no budget ends the work.
      train: points to fit, on the last axis, scaled to about unit size; of more than
        `tasks.MAX_ROWS` a random part is used, and of `valid` too.
      valid: points to choose by.
      objective: what is fitted.
      config: how.
      starts: networks within the limits of `config`, leaves [R, ...], to be used
        instead of random ones.
      time_budget: seconds after which only the front is polished, for a quarter of it.
      clock: tells the seconds.
      callback: called after each block of work.

    Raises:
      ValueError: no network has a finite loss.
      KeyboardInterrupt: Ctrl-C before the first networks; later it ends the work.
    """
    job = make_job(train, valid, objective, config, time_budget, clock)
    return select(find_pool(key, job, starts=starts, callback=callback), job)


def find_pool(
    key: Key,
    job: Job,
    *,
    starts: Network | None = None,
    callback: Callable[[SearchProgress], None] | None = None,
) -> Pool:
    """Networks of all sizes, before the last polish; arguments and errors as of `run`.

    It ends with the time budget of the job.
    """
    start_key, key = jax.random.split(key)
    starts = _widen(_draw(start_key, job) if starts is None else starts, job)
    num_blocks, pool = stages.num_blocks(batches.count(starts), job), None
    try:
        for stage, pool in _work(key, job, starts):
            if callback is not None:
                spent = job.seconds(), pool, job.candidate_steps
                callback(SearchProgress(stage, *spent, num_blocks))
            is_ready = _is_small(pool, job.config).any()
            if not len(pool.loss) or (job.is_over() and is_ready):
                break
    except KeyboardInterrupt:
        if pool is None:
            raise
    if pool is None or not len(pool.loss):
        raise ValueError("no network has a finite loss: the data hold huge numbers")
    if not _is_small(pool, job.config).any():
        raise ValueError(f"no network of {job.config.max_weights} weights was reached")
    return pool


def _work(key: Key, job: Job, starts: Network) -> stages.Stages:
    """Stage and pool after each block of work, each pool better than the one before."""
    pool = yield from stages.race(starts, job)
    num = job.config.num_rounds
    keys = iter(jax.random.split(key, 2 * num + 1))
    for index in range(num):
        share = 1.0 if index else FIRST_SHARE
        pool = yield from stages.prune_pass(next(keys), pool, job, share=share)
        pool = yield from stages.grow_pass(next(keys), pool, job)
    return (yield from stages.prune_pass(next(keys), pool, job))


def _draw(key: Key, job: Job) -> Network:
    """Random starts that read no padded input."""
    spec = dataclasses.replace(job.spec, num_inputs=job.train.x.shape[1])
    num_inputs = job.spec.num_inputs
    return draw_starts(key, job.config, spec, job.train, num_inputs=num_inputs)


def select(pool: Pool, job: Job) -> Front:
    """The front, polished to the end where that does not hurt on validation data.

    In double precision, where there is any: the last digits count.
    """
    with jax.enable_x64(jax.default_backend() != "tpu"):
        return _select(pool, job)


def _select(pool: Pool, job: Job) -> Front:
    pool = pool.take(_is_small(pool, job.config))
    pool = pool._replace(network=jax.tree.map(_to_float64, pool.network))
    front = pools.make_front(pool, *job.judge(pool.network))
    last = _polish_last(front, job)
    # Both, like as they are: only validation data tell which is better.
    pool = pools.join([job.make_pool(part) for part in (front.network, last)])
    judged = job.judge(pool.network)
    front = pools.make_front(pool, *judged, max_error=job.config.max_error)
    first = front.network.first[:, : job.spec.num_inputs]
    return front._replace(network=front.network._replace(first=first))


def _polish_last(front: Front, job: Job) -> Network:
    """The networks of a front, polished to the end as far as the time goes."""
    networks = jax.tree.map(np.copy, front.network)
    sizes = front.num_weights
    for index in buckets.divide(sizes, sizes, job.train, fit=job.fit, num_blocks=1):
        if job.is_over(LAST_SHARE):
            break
        part = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
        part, _ = job.polish(part, sizes[index], LAST_STEPS)
        for leaf, new in zip(networks, part, strict=True):
            leaf[index] = new
    return networks


def _is_small(pool: Pool, config: SearchConfig) -> Bool[np.ndarray, " R"]:
    return pool.num_weights <= config.max_weights


def _widen(networks: Network, job: Job) -> Network:
    """Starts on the host, not too large, and with the padded inputs."""
    most = min(2 * job.config.max_weights, buckets.BUCKETS[-1] - 1)
    networks = resize.cut(networks, num_weights=most)
    networks = jax.device_get(networks)
    more = job.train.x.shape[1] - networks.first.shape[1]
    first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
    return networks._replace(first=first)


def _to_float64(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf
