"""Stages of a search: race, prune pass, grow pass and random perturbations.

Each stage is a generator that yields after each block of work, so that the search can
look at the clock. No pool is worse than the one before.
"""

import itertools
import math
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int

from swajax.data.problem import Problem
from swajax.refine import batches, buckets
from swajax.search import pool as pools
from swajax.search.config import SearchConfig
from swajax.search.job import Job
from swajax.search.pool import Pool
from swajax.types import Key, Network


class Heat(NamedTuple):
    """One round of the race."""

    num_steps: int
    kept_share: float
    num_rows: int  # times outputs that are differentiated
    end: float  # share of the time budget


RACE = (
    Heat(25, 0.3, 1024, 0.15),
    Heat(60, 0.3, 1024, 0.25),
    Heat(120, 1.0, 8192, 0.4),
)
PART_BLOCKS = 4  # blocks polished between two looks at the clock
LARGE_STEP = 16  # a pass changes one weight in 16 at a time
PRUNE_STEPS, PERTURB_STEPS, GROW_STEPS = 8, 30, 12
MIN_PERTURBED = 3  # size of the smallest networks that are perturbed
NUM_PERTURBATIONS = 2  # per network and visit; twice as many up to size SMALL
SMALL = 12

Stages = Generator[tuple[str, Pool], None, Pool]
"""Yields the name of the stage and the pool; returns the pool."""


def num_blocks(sizes: np.ndarray, job: Job) -> int:
    """Estimate the number of blocks of a search that starts from these sizes."""
    config, num = job.config, 0
    for heat in RACE:
        num += len(_divide(sizes, sizes, job.sample_rows(heat.num_rows), job))
        sizes = sizes[pools.best_of_sizes(sizes, sizes, heat.kept_share)]
    largest, num_passes = int(sizes.max()), 2 * config.num_rounds + 1
    num += len(size_schedule(largest))
    num += (num_passes - 1) * len(size_schedule(config.max_weights))
    num_perturbed = max(0, min(config.max_perturbed, largest) + 1 - MIN_PERTURBED)
    return num + num_passes * num_perturbed


def race(starts: Network, job: Job) -> Stages:
    """Polish all networks a little, and the better ones of each tenth of sizes more.

    A heat that runs out of time continues with the networks it has polished.
    """
    networks, sizes, pool = starts, batches.count(starts), None
    rank = np.random.default_rng(0).permutation(len(sizes))  # no losses yet
    for heat in RACE:
        rows = job.sample_rows(heat.num_rows)
        parts, indices, losses = [], [], []
        for index in _divide(sizes, rank, rows, job):
            part = _take(networks, index)
            part, loss = job.polish(part, sizes[index], heat.num_steps, rows)
            parts.append(part)
            indices.append(index)
            losses.append(loss)
            pool = _add(pool, part, job)
            yield "polish", pool
            if job.is_over(heat.end):
                break
        networks = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        sizes, rank = sizes[np.concatenate(indices)], np.concatenate(losses)
        index = pools.best_of_sizes(sizes, rank, heat.kept_share)
        networks, sizes, rank = _take(networks, index), sizes[index], rank[index]
    return pool


def size_schedule(largest: int) -> list[int]:
    """Return the sizes of a pass from the largest down to 1.

    All small sizes are visited and some large ones: one weight is a small step for a
    large network, and an expensive one.

    Example:
      >>> size_schedule(36)[:5]
      [36, 34, 32, 30, 29]
    """
    sizes = [largest]
    while sizes[-1] > 1:
        sizes.append(sizes[-1] - max(1, sizes[-1] // LARGE_STEP))
    return sizes


def prune_pass(key: Key, pool: Pool, job: Job, *, share: float = 1.0) -> Stages:
    """Remove weights from the networks of each size, from the largest size down.

    Small networks are perturbed before. Where this share of the remaining time does not
    suffice for all networks of all sizes, only the best ones continue.
    """
    effort = Effort(size_schedule(int(pool.num_weights.max())), PRUNE_STEPS, job, share)
    moves = [(below, size, below) for size, below in itertools.pairwise(effort.sizes)]
    return (yield from _walk(key, pool, effort, moves, batches.remove, "prune"))


def grow_pass(key: Key, pool: Pool, job: Job) -> Stages:
    """Add weights to the networks of each size, from the smallest size up."""
    effort = Effort(size_schedule(job.config.max_weights)[::-1], GROW_STEPS, job)
    sizes = effort.sizes
    moves = list(zip(sizes, sizes[1:], sizes[2:], strict=False))
    return (yield from _walk(key, pool, effort, moves, batches.grow, "grow", first=1))


def _walk(
    key: Key,
    pool: Pool,
    effort: "Effort",
    moves: Iterable[tuple[int, int, int]],
    change: Callable[..., Network],
    stage: str,
    first: int = 0,
) -> Stages:
    """For each (below, size, to): change networks in (below, size] to `to` weights."""
    job = effort.job
    for position, (below, size, to) in enumerate(moves, start=first):
        begin, own_key = job.seconds(), jax.random.fold_in(key, size)
        pool = yield from _perturb(own_key, pool, below, size, effort)
        done = pool.is_pruned if stage == "prune" else pool.is_grown
        index = _find(pool, below, size, ~done)[: effort.max_networks]
        if len(index):
            num = abs(size - to)
            changed = change(pool.network, index, size, job.train, fit=job.fit, num=num)
            changed, _ = job.polish(changed, np.full(len(index), to), effort.num_steps)
            mark = pool.mark_pruned if stage == "prune" else pool.mark_grown
            pool = _add(mark(index), changed, job)
            effort.adapt(position, len(index), begin)
            yield stage, pool
    return pool


class Effort:
    """The number of networks and perturbations per size that a pass has time for."""

    def __init__(
        self, sizes: Sequence[int], num_steps: int, job: Job, share: float = 1.0
    ) -> None:
        """Plan a pass of `num_steps` polish steps per network and size.

        Args:
          sizes: visited in this order.
          num_steps: polish steps after each change.
          job: the search.
          share: of the remaining time, for the whole pass.
        """
        self.sizes, self.num_steps, self.job = sizes, num_steps, job
        self.end = job.seconds() + share * job.seconds_left()
        self.max_networks, self.has_perturbations = job.config.num_kept, True

    def adapt(self, position: int, num: int, begin: float) -> None:
        """Extrapolate the time of `num` networks of one size to the remaining sizes.

        Perturbations are dropped before networks are, down to one block per size.
        """
        job, size = self.job, self.sizes[position]
        # A block costs the same however full it is.
        block = buckets.block_size(size, job.train, fit=job.fit)
        now, num_paid = job.seconds(), math.ceil(num / block) * block
        rate = (now - begin) / (num_paid * self.cost(size, self.has_perturbations))
        for has_perturbations in (True, False):
            rest = sum(
                self.cost(own, has_perturbations) for own in self.sizes[position + 1 :]
            )
            num_blocks = (self.end - now) / max(rate * rest * block, 1e-9)
            if num_blocks >= 1:
                break
        self.has_perturbations = has_perturbations
        self.max_networks = int(np.clip(num_blocks, 1, job.config.num_kept)) * block
        self.max_networks = min(self.max_networks, job.config.num_kept)

    def cost(self, size: int, has_perturbations: bool) -> int:
        """Return the relative cost of a network of a size, with its perturbations."""
        num = has_perturbations * num_perturbations(size, self.job.config)
        return (self.num_steps + num * PERTURB_STEPS) * buckets.bucket_of(size)


def num_perturbations(size: int, config: SearchConfig) -> int:
    """Return the number of perturbations per network of a size."""
    if not MIN_PERTURBED <= size <= config.max_perturbed:
        return 0
    return NUM_PERTURBATIONS * (2 if size <= SMALL else 1)


def _perturb(key: Key, pool: Pool, below: int, size: int, effort: Effort) -> Stages:
    """Add polished random changes of the best networks of a size, if it is small."""
    job = effort.job
    num = effort.has_perturbations * num_perturbations(size, job.config)
    index = np.repeat(_find(pool, below, size)[: effort.max_networks], num)
    if len(index):
        changed = batches.perturb(
            key, pool.network, index, size, job.train, fit=job.fit
        )
        changed, _ = job.polish(changed, batches.count(changed), PERTURB_STEPS)
        pool = _add(pool, changed, job)
        yield "perturb", pool
    return pool


def _divide(
    sizes: np.ndarray, rank: np.ndarray, rows: Problem, job: Job
) -> list[Int[np.ndarray, " S"]]:
    return buckets.divide(sizes, rank, rows, fit=job.fit, num_blocks=PART_BLOCKS)


def _find(
    pool: Pool,
    below: int,
    size: int,
    is_wanted: Bool[np.ndarray, " R"] | bool = True,
) -> Int[np.ndarray, " S"]:
    """Return the wanted networks of sizes in (below, size], the best first."""
    is_here = (below < pool.num_weights) & (pool.num_weights <= size)
    index = np.flatnonzero(is_here & is_wanted)
    return index[np.argsort(pool.loss[index], kind="stable")]


def _take(networks: Network, index: np.ndarray) -> Network:
    return jax.tree.map(lambda leaf: leaf[index], networks)


def _add(pool: Pool | None, networks: Network, job: Job) -> Pool:
    own = job.make_pool(networks)
    both = [own] if pool is None else [pool, own]
    return pools.merge(both, num_each=job.config.num_kept)
