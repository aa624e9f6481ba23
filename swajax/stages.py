"""The stages of a search, after one another on a pool of networks.

Each is a generator of what was done and the pool after each block of work, between
which the search looks at the clock. No pool is worse than the one before.
"""

import math
from collections.abc import Generator

import jax
import numpy as np

from swajax import blocks, pareto
from swajax.jobs import Job, PipelineConfig
from swajax.pareto import Pool
from swajax.types import Key, Network

# Steps, the share that goes on, and points (times directions of the loss): a part of
# many tells good starts from bad ones.
RACE = ((25, 0.3, 1024), (60, 0.3, 1024), (120, 1.0, 8192))
RACE_BLOCK = 128  # networks that are polished between two looks at the clock
RACE_SHARE = 0.5  # of a time budget: what is found has to be shrunk as well
SHRINK_STEPS, VARY_STEPS, GROW_STEPS = 8, 30, 12
MIN_VARIED = 3  # weights of the smallest networks that are varied
NUM_VARIANTS = 2  # of each network, each time
LARGEST_START = 1.3  # weights of a random start, relative to the largest result

Stages = Generator[tuple[str, Pool], None, Pool]
"""What was done and the pool after each block of work, and the pool in the end."""


def num_blocks(config: PipelineConfig) -> int:
    """Blocks of work of a whole run from random starts, at most."""
    num_left, num = 2 * config.num_starts, 0
    for _, share, _ in RACE:
        num += math.ceil(num_left / RACE_BLOCK)
        num_left = math.ceil(share * num_left)
    largest = math.ceil(LARGEST_START * config.max_weights)
    num_varied = max(0, min(config.max_varied, largest) + 1 - MIN_VARIED)
    num_ways = 2 * config.num_rounds + 1  # down, up and down again
    return num + largest + (num_ways - 1) * config.max_weights + num_ways * num_varied


def race(starts: Network, job: Job) -> Stages:
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


def descend(key: Key, pool: Pool, job: Job) -> Stages:
    """From the largest size down, each network loses a weight or a neuron.

    Where the time would not last to the smallest, only the best of each size do. Small
    ones are varied before.
    """
    size = int(pool.num_weights.max())
    most = job.config.num_kept
    while size > 1:
        pool = yield from _vary(jax.random.fold_in(key, size), pool, size, job)
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


def ascend(key: Key, pool: Pool, job: Job) -> Stages:
    """From the smallest size up, each network gains a weight; as `descend`."""
    for size in range(2, job.config.max_weights):
        pool = yield from _vary(jax.random.fold_in(key, size), pool, size, job)
        index = np.flatnonzero((pool.num_weights == size) & ~pool.is_grown)
        if len(index):
            larger = blocks.grow(pool.network, index, size, job.train, fit=job.fit)
            sizes = np.full(len(index), size + 1)
            larger, _ = job.polish(larger, sizes, GROW_STEPS)
            pool = pool.mark(index, "is_grown")
            pool = _add(pool, larger, job)
            yield "grow", pool
    return pool


def _vary(key: Key, pool: Pool, size: int, job: Job) -> Stages:
    """Variants of the networks of a size, if their optima are few enough to be tried.

    What is found goes the same way as all others of its size.
    """
    index = np.flatnonzero(pool.num_weights == size)
    if MIN_VARIED <= size <= job.config.max_varied and len(index):
        index = np.repeat(index, NUM_VARIANTS)
        varied = blocks.vary(key, pool.network, index, size, job.train, fit=job.fit)
        varied, _ = job.polish(varied, blocks.count(varied), VARY_STEPS)
        pool = _add(pool, varied, job)
        yield "vary", pool
    return pool


def _add(pool: Pool | None, networks: Network, job: Job) -> Pool:
    own = job.make_pool(networks)
    pools = [own] if pool is None else [pool, own]
    return pareto.merge(pools, num_each=job.config.num_kept)
