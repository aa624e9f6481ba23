"""From a table to a front of tiny networks: explore, polish, shrink, select.

* explore: many small networks, as starts;
* polish: all of them for a few Levenberg-Marquardt steps, the better ones for more;
* shrink: down from the largest, each network loses a weight at a time; small ones are
  varied; up again, each gains the weight that promises most; networks are kept by size,
  the best of each;
* select: the front of validation loss against size.

Host code that calls compiled programs on blocks of networks, in the precision that is
switched on, float32 by default; only the front is polished in float64.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Generator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool

from swajax import blocks, pareto, prior, relevance
from swajax.jobs import Job, PipelineConfig, make_job
from swajax.objectives import Objective
from swajax.pareto import Front, Pool
from swajax.polish import Problem
from swajax.types import Key, Network, NetworkSpec

# Steps, the share that goes on, and points (times directions of the loss): a part of
# many tells good starts from bad ones.
RACE = ((25, 0.3, 1024), (60, 0.3, 1024), (120, 1.0, 8192))
RACE_BLOCK = 128  # networks that are polished between two looks at the clock
RACE_SHARE = 0.5  # of a time budget: what is found has to be shrunk as well
SHRINK_STEPS, VARY_STEPS, GROW_STEPS, LAST_STEPS = 8, 30, 12, 200
MIN_VARIED = 3  # weights of the smallest networks that are varied
NUM_VARIANTS = 2  # of each network, each time
LAST_BLOCK = 16  # networks of the front that are polished between two looks
LAST_SHARE = 1.25  # of a time budget, after which the rest of the front stays as it is
SMALL_WEIGHTS = 16  # of small starts, at most


class Progress(NamedTuple):
    """What the callback sees after each block of work."""

    stage: str  # polish, shrink, vary or grow
    seconds: float
    pool: Pool
    candidate_steps: int  # Levenberg-Marquardt steps times networks, so far


def num_blocks(config: PipelineConfig) -> int:
    """Blocks of work of a whole run, at most."""
    num_left, num = 2 * config.num_starts, 0
    for _, share, _ in RACE:
        num += math.ceil(num_left / RACE_BLOCK)
        num_left = math.ceil(share * num_left)
    num_varied = max(0, min(config.max_varied, config.max_weights) + 1 - MIN_VARIED)
    num_sizes = (2 * config.num_rounds + 1) * config.max_weights
    return num + num_sizes + config.num_rounds * num_varied


def run(
    key: Key,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    config: PipelineConfig,
    starts: Network | None = None,
    time_budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    callback: Callable[[Progress], None] | None = None,
) -> Front:
    """The front of networks for a data set.

    Args:
      key: consumed; the same key gives the same front if no budget ends the work.
      train: points to fit, on the last axis, scaled to about unit size; of more than
        `blocks.MAX_POINTS` a random part is used, and of `valid` too.
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
    pool = None
    try:
        for stage, pool in _work(key, job, starts):
            if callback is not None:
                callback(Progress(stage, job.seconds(), pool, job.candidate_steps))
            is_ready = _is_small(pool, config).any()
            if not len(pool.loss) or (job.is_over() and is_ready):
                break
    except KeyboardInterrupt:
        if pool is None:
            raise
    if pool is None or not len(pool.loss):
        raise ValueError("no network has a finite loss: the data hold huge numbers")
    if not _is_small(pool, config).any():
        raise ValueError(f"no network of {config.max_weights} weights was reached")
    # Where the last digits count, and where there is float64.
    with jax.enable_x64(jax.default_backend() != "tpu"):
        return select(pool, job)


Stages = Generator[tuple[str, Pool], None, Pool]


def _work(key: Key, job: Job, starts: Network | None) -> Stages:
    """Stage and pool after each block of work, each pool better than the one before."""
    start_key, vary_key = jax.random.split(key)
    if starts is None:
        spec = dataclasses.replace(job.spec, num_inputs=job.train.x.shape[0])
        starts = draw_starts(
            start_key, job.config, spec, job.train, num_inputs=job.spec.num_inputs
        )
    pool = yield from _race(_widen(starts, job), job)
    for number in range(job.config.num_rounds):
        pool = yield from _descend(pool, job)
        pool = yield from _vary(jax.random.fold_in(vary_key, number), pool, job)
        pool = yield from _ascend(pool, job)
    return (yield from _descend(pool, job))


def select(pool: Pool, job: Job) -> Front:
    """The front, polished to the end where that does not hurt on validation data."""
    pool = pool.take(_is_small(pool, job.config))
    pool = pool._replace(network=jax.tree.map(_to_float64, pool.network))
    front = pareto.make_front(pool, *job.judge(pool.network))
    last = _polish_last(front, job)
    pools = [job.make_pool(networks) for networks in (front.network, last)]
    pool = pareto.merge(pools, num_each=2)
    judged = job.judge(pool.network)
    front = pareto.make_front(pool, *judged, max_error=job.config.max_error)
    first = front.network.first[:, : job.spec.num_inputs]
    return front._replace(network=front.network._replace(first=first))


def _polish_last(front: Front, job: Job) -> Network:
    """The networks of a front, polished to the end as far as the time goes."""
    networks = jax.tree.map(np.copy, front.network)
    num_parts = math.ceil(len(front.num_weights) / LAST_BLOCK)
    for index in np.array_split(np.arange(len(front.num_weights)), num_parts):
        if job.is_over(LAST_SHARE):
            break
        part = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
        part, _ = job.polish(part, front.num_weights[index], LAST_STEPS)
        for leaf, new in zip(networks, part, strict=True):
            leaf[index] = new
    return networks


def _is_small(pool: Pool, config: PipelineConfig) -> Bool[np.ndarray, " R"]:
    return pool.num_weights <= config.max_weights


def draw_starts(
    key: Key,
    config: PipelineConfig,
    spec: NetworkSpec,
    train: Problem,
    *,
    num_inputs: int | None = None,
) -> Network:
    """Random networks of all sizes and as many small ones, leaves [R, ...].

    Small ones are quick to polish and what small networks come from; some of the others
    are a little too large.

    Args:
      key: consumed.
      config: how many of either kind, and how large.
      spec: limits of the networks.
      train: tells which inputs are worth a look.
      num_inputs: inputs in use, the first ones; by default all.
    """
    num_inputs = spec.num_inputs if num_inputs is None else num_inputs
    odds = relevance.find_odds(train, num_inputs)
    most = 1.3 * config.max_weights
    parts = [
        prior.sample_starts(
            own_key,
            num=config.num_starts,
            spec=spec,
            max_weights=size,
            num_inputs=num_inputs,
            odds=odds,
        )
        for own_key, size in zip(
            jax.random.split(key), (min(SMALL_WEIGHTS, most), most), strict=True
        )
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _widen(networks: Network, job: Job) -> Network:
    """Starts on the host, not too large, and with the padded inputs."""
    most = min(2 * job.config.max_weights, blocks.PLACES[-1] - 1)
    networks = blocks.cut(networks, num_weights=most)
    networks = jax.device_get(networks)
    more = job.train.x.shape[0] - networks.first.shape[1]
    first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
    return networks._replace(first=first)


def _race(starts: Network, job: Job) -> Stages:
    """Polish all a little, of each tenth of the sizes the better ones more."""
    networks, sizes = starts, blocks.count(starts)
    pool = None
    for steps, share, num_points in RACE:
        points = job.take_points(num_points)
        parts, loss = [], np.empty(len(sizes))
        num_parts = math.ceil(len(sizes) / RACE_BLOCK)
        for index in np.array_split(np.arange(len(sizes)), num_parts):
            part = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
            part, loss[index] = job.polish(part, sizes[index], steps, points)
            parts.append(part)
            pool = _add(pool, part, job)
            yield "polish", pool
            if job.is_over(RACE_SHARE):
                return pool
        networks = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        index = pareto.best_of_sizes(sizes, loss, share)
        networks = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
        sizes = sizes[index]
    return pool


def _descend(pool: Pool, job: Job) -> Stages:
    """From the largest size down, each network loses a weight or a neuron.

    Where the time would not last to the smallest, only the best of each size do.
    """
    size = int(pool.num_weights.max())
    most = job.config.num_kept
    while size > 1:
        index = np.flatnonzero((pool.num_weights == size) & ~pool.is_shrunk)[:most]
        if len(index):
            begin = job.seconds()
            smaller = blocks.remove(pool.network, index, size, job.train, fit=job.fit)
            sizes = np.full(len(index), size)
            smaller, _ = job.polish(smaller, sizes, SHRINK_STEPS)
            pool = pool.mark(index, "is_shrunk")
            pool = _add(pool, smaller, job)
            # A network of so many weights costs about their square, all smaller
            # ones together a third of size times as much.
            cost = max((job.seconds() - begin) / len(index) * size / 3, 1e-9)
            most = int(np.clip(job.seconds_left() / cost, 1, job.config.num_kept))
            yield "shrink", pool
        size -= 1
    return pool


def _vary(key: Key, pool: Pool, job: Job) -> Stages:
    """Variants of the small networks, whose optima are few enough to be worth a try."""
    most = min(job.config.max_varied, job.config.max_weights)
    for size in range(MIN_VARIED, most + 1):
        index = np.flatnonzero(pool.num_weights == size)
        if len(index):
            index = np.repeat(index, NUM_VARIANTS)
            own_key = jax.random.fold_in(key, size)
            varied = blocks.vary(
                own_key, pool.network, index, size, job.train, fit=job.fit
            )
            varied, _ = job.polish(varied, blocks.count(varied), VARY_STEPS)
            pool = _add(pool, varied, job)
            yield "vary", pool
    return pool


def _ascend(pool: Pool, job: Job) -> Stages:
    """From the smallest size up, each network gains a weight."""
    for size in range(2, job.config.max_weights):
        index = np.flatnonzero((pool.num_weights == size) & ~pool.is_grown)
        if len(index):
            larger = blocks.grow(pool.network, index, size, job.train, fit=job.fit)
            sizes = np.full(len(index), size + 1)
            larger, _ = job.polish(larger, sizes, GROW_STEPS)
            pool = pool.mark(index, "is_grown")
            pool = _add(pool, larger, job)
            yield "grow", pool
    return pool


def _add(pool: Pool | None, networks: Network, job: Job) -> Pool:
    own = job.make_pool(networks)
    pools = [own] if pool is None else [pool, own]
    return pareto.merge(pools, num_each=job.config.num_kept)


def _to_float64(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf
