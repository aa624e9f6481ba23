"""The stages of a search, after one another on a pool of networks.

Each is a generator of what was done and the pool after each block of work, between
which the search looks at the clock. No pool is worse than the one before.
"""

import itertools
import math
from collections.abc import Generator

import jax
import numpy as np
from jaxtyping import Bool, Int

from swajax import blocks, pareto
from swajax.jobs import Job, PipelineConfig
from swajax.pareto import Pool
from swajax.types import Key, Network

# Steps, the share that goes on, and points (times directions of the loss): a part of
# many tells good starts from bad ones.
RACE = ((25, 0.3, 1024), (60, 0.3, 1024), (120, 1.0, 8192))
RACE_BLOCK = 128  # networks that are polished between two looks at the clock
RACE_SHARE = 0.5  # of a time budget: what is found has to be shrunk as well
LARGE_STEP = 16  # networks lose and gain one in so many of their weights at a time
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
    num += len(rungs(largest)) + (num_ways - 1) * len(rungs(config.max_weights))
    return num + num_ways * num_varied


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


def rungs(largest: int) -> list[int]:
    """Sizes from the largest down to 1: all small ones, and some of the large ones.

    A weight less is a small step for a large network, and a dear one.
    """
    sizes = [largest]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] - max(1, sizes[-1] // LARGE_STEP))
    return sizes


def descend(key: Key, pool: Pool, job: Job) -> Stages:
    """From the largest size down, each network loses a weight or a neuron.

    Large ones lose several at a time. Where the time would not last to the smallest,
    only the best do. Small ones are varied before.
    """
    most, sizes = job.config.num_kept, rungs(int(pool.num_weights.max()))
    for place, (size, below) in enumerate(itertools.pairwise(sizes), start=1):
        pool = yield from _vary(jax.random.fold_in(key, size), pool, below, size, job)
        index = _find(pool, below, size, ~pool.is_shrunk)[:most]
        if len(index):
            begin = job.seconds()
            smaller = blocks.remove(
                pool.network, index, size, job.train, fit=job.fit, num=size - below
            )
            smaller, _ = job.polish(smaller, np.full(len(index), below), SHRINK_STEPS)
            pool = pool.mark(index, "is_shrunk")
            pool = _add(pool, smaller, job)
            # A block costs the same however full it is, and about as much as the
            # square of the weights.
            block = blocks.block_size(size, job.train, fit=job.fit)
            cost = (job.seconds() - begin) / math.ceil(len(index) / block)
            rest = max(cost * np.square(sizes[place:]).sum() / size**2, 1e-9)
            num_blocks = np.clip(job.seconds_left() / rest, 1, job.config.num_kept)
            most = min(int(num_blocks) * block, job.config.num_kept)
            yield "shrink", pool
    return pool


def ascend(key: Key, pool: Pool, job: Job) -> Stages:
    """From the smallest size up, each network gains a weight; as `descend`."""
    sizes = rungs(job.config.max_weights)[::-1]
    for below, size, above in zip(sizes, sizes[1:], sizes[2:], strict=False):
        pool = yield from _vary(jax.random.fold_in(key, size), pool, below, size, job)
        index = _find(pool, below, size, ~pool.is_grown)[: job.config.num_kept]
        if len(index):
            larger = blocks.grow(
                pool.network, index, size, job.train, fit=job.fit, num=above - size
            )
            larger, _ = job.polish(larger, np.full(len(index), above), GROW_STEPS)
            pool = pool.mark(index, "is_grown")
            pool = _add(pool, larger, job)
            yield "grow", pool
    return pool


def _vary(key: Key, pool: Pool, below: int, size: int, job: Job) -> Stages:
    """Variants of the networks of a size, if their optima are few enough to be tried.

    What is found goes the same way as all others of its size.
    """
    index = _find(pool, below, size)
    if MIN_VARIED <= size <= job.config.max_varied and len(index):
        index = np.repeat(index, NUM_VARIANTS)
        varied = blocks.vary(key, pool.network, index, size, job.train, fit=job.fit)
        varied, _ = job.polish(varied, blocks.count(varied), VARY_STEPS)
        pool = _add(pool, varied, job)
        yield "vary", pool
    return pool


def _find(
    pool: Pool,
    below: int,
    size: int,
    is_wanted: Bool[np.ndarray, " R"] | bool = True,
) -> Int[np.ndarray, " S"]:
    """Which networks of above `below` to `size` weights are wanted, the best first."""
    is_here = (below < pool.num_weights) & (pool.num_weights <= size)
    index = np.flatnonzero(is_here & is_wanted)
    return index[np.argsort(pool.loss[index], kind="stable")]


def _add(pool: Pool | None, networks: Network, job: Job) -> Pool:
    own = job.make_pool(networks)
    pools = [own] if pool is None else [pool, own]
    return pareto.merge(pools, num_each=job.config.num_kept)
