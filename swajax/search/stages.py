"""The stages of a search, after one another on a pool of networks.

Each is a generator of what was done and the pool after each block of work, between
which the search looks at the clock. No pool is worse than the one before.
"""

import itertools
import math
from collections.abc import Callable, Generator, Iterable

import jax
import numpy as np
from jaxtyping import Bool, Int

from swajax.data.problem import Problem
from swajax.refine import batches, buckets
from swajax.search import pool as pools_lib
from swajax.search.config import SearchConfig
from swajax.search.job import Job
from swajax.search.pool import Pool
from swajax.types import Key, Network

# Steps, the share that goes on, points (times directions of the loss), of which a part
# tells good starts from bad ones, and the share of a time budget at which it ends.
RACE = ((25, 0.3, 1024, 0.15), (60, 0.3, 1024, 0.25), (120, 1.0, 8192, 0.4))
PART_BLOCKS = 4  # polished between two looks at the clock
LARGE_STEP = 16  # networks lose and gain one in so many of their weights at a time
SHRINK_STEPS, VARY_STEPS, GROW_STEPS = 8, 30, 12
MIN_VARIED = 3  # weights of the smallest networks that are varied
NUM_VARIANTS = 2  # of each network, each time, and twice as many of the smallest
SMALLEST = 12  # weights at most
LARGEST_START = 1.3  # weights of a random start, relative to the largest result

Stages = Generator[tuple[str, Pool], None, Pool]
"""What was done and the pool after each block of work, and the pool in the end."""


def num_blocks(sizes: np.ndarray, job: Job) -> int:
    """Blocks of work of a whole run from starts of so many weights, about."""
    config, num = job.config, 0
    for _, share, num_points, _ in RACE:
        points = job.take_points(num_points)
        num += len(_divide(sizes, sizes, points, job))
        sizes = sizes[pools_lib.best_of_sizes(sizes, sizes, share)]
    largest, num_ways = int(sizes.max()), 2 * config.num_rounds + 1
    num += len(size_schedule(largest)) + (num_ways - 1) * len(
        size_schedule(config.max_weights)
    )
    num_varied = max(0, min(config.max_varied, largest) + 1 - MIN_VARIED)
    return num + num_ways * num_varied


def race(starts: Network, job: Job) -> Stages:
    """Polish all a little, of each tenth of the sizes the better ones more.

    A stage that has no time for all of its networks goes on with those it has done.
    """
    networks, sizes, pool = starts, batches.count(starts), None
    rank = np.random.default_rng(0).permutation(len(sizes))  # of none the loss is known
    for steps, share, num_points, end in RACE:
        points = job.take_points(num_points)
        parts, indices, losses = [], [], []
        for index in _divide(sizes, rank, points, job):
            part = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
            part, loss = job.polish(part, sizes[index], steps, points)
            parts.append(part)
            indices.append(index)
            losses.append(loss)
            pool = _add(pool, part, job)
            yield "polish", pool
            if job.is_over(end):
                break
        networks = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        sizes, rank = sizes[np.concatenate(indices)], np.concatenate(losses)
        index = pools_lib.best_of_sizes(sizes, rank, share)
        networks = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
        sizes, rank = sizes[index], rank[index]
    return pool


def _divide(
    sizes: np.ndarray, rank: np.ndarray, points: Problem, job: Job
) -> list[Int[np.ndarray, " S"]]:
    return buckets.divide(sizes, rank, points, fit=job.fit, num_blocks=PART_BLOCKS)


def size_schedule(largest: int) -> list[int]:
    """Sizes from the largest down to 1: all small ones, and some of the large ones.

    A weight less is a small step for a large network, and a dear one.
    """
    sizes = [largest]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] - max(1, sizes[-1] // LARGE_STEP))
    return sizes


def prune_pass(key: Key, pool: Pool, job: Job, *, share: float = 1.0) -> Stages:
    """From the largest size down, each network loses a weight or a neuron.

    Large ones lose several at a time, small ones are varied before. Where this share of
    the time left would not last to the smallest, only the best go on.
    """
    way = _Pass(size_schedule(int(pool.num_weights.max())), SHRINK_STEPS, job, share)
    pairs = itertools.pairwise(way.sizes)
    moves = enumerate((below, size, below) for size, below in pairs)
    return (yield from _walk(key, pool, way, moves, batches.remove, "shrink"))


def grow_pass(key: Key, pool: Pool, job: Job) -> Stages:
    """From the smallest size up, each network gains a weight; as `descend`."""
    way = _Pass(size_schedule(job.config.max_weights)[::-1], GROW_STEPS, job)
    triples = zip(way.sizes, way.sizes[1:], way.sizes[2:], strict=False)
    moves = enumerate(triples, start=1)
    return (yield from _walk(key, pool, way, moves, batches.grow, "grow"))


def _walk(
    key: Key,
    pool: Pool,
    way: "_Pass",
    moves: Iterable[tuple[int, tuple[int, int, int]]],
    change: Callable[..., Network],
    stage: str,
) -> Stages:
    """Networks of above `below` to `size` weights are varied, and changed to `to`."""
    job, flag = way.job, {"shrink": "is_shrunk", "grow": "is_grown"}[stage]
    for place, (below, size, to) in moves:
        begin, own_key = job.seconds(), jax.random.fold_in(key, size)
        pool = yield from _vary(own_key, pool, below, size, way)
        index = _find(pool, below, size, ~getattr(pool, flag))[: way.most]
        if len(index):
            num = abs(size - to)
            changed = change(pool.network, index, size, job.train, fit=job.fit, num=num)
            changed, _ = job.polish(changed, np.full(len(index), to), way.num_steps)
            pool = _add(pool.mark(index, flag), changed, job)
            way.look(place, len(index), begin)
            yield stage, pool
    return pool


class _Pass:
    """A way through the sizes, and how much of each the time is enough for."""

    def __init__(
        self, sizes: list[int], num_steps: int, job: Job, share: float = 1.0
    ) -> None:
        """Begin; this share of the time left is to last for so many steps a size."""
        self.sizes, self.num_steps, self.job = sizes, num_steps, job
        self.end = job.seconds() + share * job.seconds_left()
        self.most, self.is_varied = job.config.num_kept, True

    def look(self, place: int, num: int, begin: float) -> None:
        """Look at the clock after so many networks of the size of a place.

        Without time for a block of networks and its variants, there are no variants.
        """
        job, size = self.job, self.sizes[place]
        # A block costs the same however full it is.
        block = buckets.block_size(size, job.train, fit=job.fit)
        now, paid = job.seconds(), math.ceil(num / block) * block
        rate = (now - begin) / (paid * self.cost(size, self.is_varied))
        for is_varied in (True, False):
            rest = sum(self.cost(own, is_varied) for own in self.sizes[place + 1 :])
            num_blocks = (self.end - now) / max(rate * rest * block, 1e-9)
            if num_blocks >= 1:
                break
        self.is_varied = is_varied
        self.most = int(np.clip(num_blocks, 1, job.config.num_kept)) * block
        self.most = min(self.most, job.config.num_kept)

    def cost(self, size: int, is_varied: bool) -> int:
        """Of a network of a size, with its variants or without, about, in any unit."""
        num_variants = is_varied * count_variants(size, self.job.config)
        num_steps = self.num_steps + num_variants * VARY_STEPS
        return num_steps * buckets.bucket_of(size)


def count_variants(size: int, config: SearchConfig) -> int:
    """Variants of each network of a size."""
    if not MIN_VARIED <= size <= config.max_varied:
        return 0
    return NUM_VARIANTS * (2 if size <= SMALLEST else 1)


def _vary(key: Key, pool: Pool, below: int, size: int, way: _Pass) -> Stages:
    """Variants of the best networks of a size, if it is small enough.

    What is found goes the same way as all others of its size.
    """
    job, num = way.job, way.is_varied * count_variants(size, way.job.config)
    index = np.repeat(_find(pool, below, size)[: way.most], num)
    if len(index):
        varied = batches.perturb(key, pool.network, index, size, job.train, fit=job.fit)
        varied, _ = job.polish(varied, batches.count(varied), VARY_STEPS)
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
    return pools_lib.merge(pools, num_each=job.config.num_kept)
