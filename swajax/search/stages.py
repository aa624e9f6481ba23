"""Stages of a search: race, prune pass, grow pass and random perturbations.

Each stage is a generator that yields after each block of work, so that the search can
look at the clock. No pool is worse than the one before.
"""

import itertools
import math
import operator
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from swajax.data.problem import Problem
from swajax.refine import batches, buckets
from swajax.refine.block_programs import ProgramName
from swajax.search import pool as pools
from swajax.search.config import SearchConfig
from swajax.search.job import Job
from swajax.search.pool import Pool
from swajax.types import Key, Network


class Heat(NamedTuple):
    """One round of the race."""

    num_steps: int
    kept_share: float
    has_few_rows: bool
    end: float  # share of the time budget


RACE = (
    Heat(25, 0.3, True, 0.25),
    Heat(60, 0.3, True, 0.35),
    Heat(120, 1.0, False, 0.5),
)
SEARCH_SHARE = 0.85  # of the time budget, for all stages but the last polish
LARGE_STEP = 16  # a pass changes one weight in 16 at a time
PRUNE_STEPS, PERTURB_STEPS, GROW_STEPS = 8, 30, 12
MIN_PERTURBED = 3  # size of the smallest networks that are perturbed
NUM_PERTURBATIONS = 2  # per network and visit; twice as many up to size SMALL
SMALL = 12

Stages = Generator[tuple[str, Pool], None, Pool]
"""Yields the name of the stage and the pool; returns the pool."""


class Racers(NamedTuple):
    """Networks in a race, leaves [R, ...], and their losses."""

    networks: Network
    loss: Float[np.ndarray, " R"]

    def take(self, index: np.ndarray) -> "Racers":
        """Return the networks of an index."""
        return jax.tree.map(operator.itemgetter(index), self)


def request_programs(job: Job) -> None:
    """Compile the programs of all stages, in the order of their use."""
    sizes = bucket_sizes(largest_size(job.config))
    small, *large = sizes
    job.request("polish", small, job.few_rows)
    job.request("score", small)
    for size in large:
        job.request("polish", size, job.few_rows)
    for size in sizes:
        job.request("polish", size)  # the same program, where rows are few
    job.request("refit", small, job.train)
    job.request("remove", small)
    for name in ("perturb", "grow"):
        job.request(name)
    for size in large:
        job.request("remove", size)


def largest_size(config: SearchConfig) -> int:
    """Return the number of weights of the largest network of a race."""
    factor = 2 if config.num_rounds else 1
    return min(factor * config.max_weights, buckets.BUCKETS[-1])


def bucket_sizes(largest: int) -> list[int]:
    """Return the buckets of networks of up to `largest` weights."""
    return [size for size in buckets.BUCKETS if size <= buckets.bucket_of(largest)]


def num_blocks(sizes: np.ndarray, job: Job) -> int:
    """Estimate the number of blocks of a search that starts from these sizes."""
    config, num = job.config, 0
    for heat in RACE:
        num += len(job.divide(sizes, sizes, _rows(heat, job)))
        sizes = sizes[pools.best_of_sizes(sizes, sizes, heat.kept_share)]
    first, limit = int(sizes.max()), config.max_weights
    # The largest sizes of all passes: prune, then grow and prune.
    for largest in (first, *[limit, max(first, limit)] * config.num_rounds):
        num += len(size_schedule(largest))
        num += max(0, min(config.max_perturbed, largest) + 1 - MIN_PERTURBED)
    return num


def race(starts: Iterable[Network], job: Job) -> Stages:
    """Polish all networks a little, and the better ones of each tenth of sizes more.

    The first heat polishes the networks of one source while the next source works. A
    heat that runs out of time continues with the networks it has polished.
    """
    pool, parts, all_sizes = None, [], np.zeros(0, int)
    for networks in starts:
        all_sizes = np.append(all_sizes, batches.count(networks))
        job.num_blocks = num_blocks(all_sizes, job)
        order = np.random.default_rng(len(parts)).permutation(len(networks.depth))
        racers = Racers(networks, order.astype(float))  # no losses yet
        pool, racers = yield from _run_heat(RACE[0], racers, pool, job)
        parts.append(racers)
    racers = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    for before, heat in itertools.pairwise(RACE):
        sizes = batches.count(racers.networks)
        index = pools.best_of_sizes(sizes, racers.loss, before.kept_share)
        pool, racers = yield from _run_heat(heat, racers.take(index), pool, job)
    return pool


def _run_heat(
    heat: Heat, racers: Racers, pool: Pool | None, job: Job
) -> Generator[tuple[str, Pool], None, tuple[Pool, Racers]]:
    """Polish networks, low losses first; return those that were polished in time."""
    rows, sizes = _rows(heat, job), batches.count(racers.networks)
    indices, parts = [], []
    for index in _ready_first(sizes, racers.loss, rows, heat.end, job):
        networks = jax.tree.map(operator.itemgetter(index), racers.networks)
        part = job.polish(networks, sizes[index], heat.num_steps, rows, share=heat.end)
        indices.append(index)
        parts.append(Racers(*part))
        pool = _add(pool, part[0], job)
        yield "polish", pool
        if job.is_over(heat.end):
            break
    if not parts:
        return pool, racers
    done = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return pool, done.take(np.argsort(np.concatenate(indices)))


def _ready_first(
    sizes: np.ndarray, rank: np.ndarray, rows: Problem, end: float, job: Job
) -> Iterator[Int[np.ndarray, " S"]]:
    """Yield blocks of networks, those first whose program is compiled.

    Wait for the first program until it is compiled, for others until the share `end` of
    the time budget is spent.
    """
    waiting, is_first = job.divide(sizes, rank, rows), True
    while waiting:
        largest = [int(sizes[index].max()) for index in waiting]
        is_ready = [job.is_ready("polish", size, rows) for size in largest]
        chosen = is_ready.index(True) if True in is_ready else 0
        seconds = 1e9 if is_first else job.seconds_left(end)
        if not job.is_ready("polish", largest[chosen], rows, seconds=seconds):
            job.leave_out("networks whose programs were not compiled in time")
            return
        is_first = False
        yield waiting.pop(chosen)


def _rows(heat: Heat, job: Job) -> Problem:
    return job.few_rows if heat.has_few_rows else job.rows


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
    return (yield from _walk(key, pool, effort, moves, "prune"))


def grow_pass(key: Key, pool: Pool, job: Job) -> Stages:
    """Add weights to the networks of each size, from the smallest size up."""
    effort = Effort(size_schedule(job.config.max_weights)[::-1], GROW_STEPS, job)
    sizes = effort.sizes
    moves = list(zip(sizes, sizes[1:], sizes[2:], strict=False))
    return (yield from _walk(key, pool, effort, moves, "grow", first=1))


def _walk(
    key: Key,
    pool: Pool,
    effort: "Effort",
    moves: Iterable[tuple[int, int, int]],
    stage: Literal["prune", "grow"],
    first: int = 0,
) -> Stages:
    """For each (below, size, to): change networks in (below, size] to `to` weights."""
    job = effort.job
    change, name = (job.remove, "remove") if stage == "prune" else (job.grow, "grow")
    for position, (below, size, to) in enumerate(moves, start=first):
        if not effort.is_ready(name, size, to):
            continue
        begin, own_key = job.seconds(), jax.random.fold_in(key, size)
        pool = yield from _perturb(own_key, pool, below, size, effort)
        done = pool.is_pruned if stage == "prune" else pool.is_grown
        index = _find(pool, below, size, ~done)[: effort.max_networks]
        if len(index):
            changed = change(pool.network, index, size, num=abs(size - to))
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
        self.end = job.seconds() + share * job.seconds_left(SEARCH_SHARE)
        self.max_networks, self.has_perturbations = job.config.num_kept, True

    def is_ready(self, name: ProgramName, size: int, to: int) -> bool:
        """Return whether the programs for a size are compiled.

        The pass waits for those of the smallest networks only.
        """
        is_small = max(size, to) <= buckets.BUCKETS[0]
        for program, capacity in ((name, size), ("polish", to)):
            seconds = self.end - self.job.seconds() if is_small else 0.0
            if not self.job.is_ready(program, capacity, seconds=seconds):
                self.job.leave_out("networks whose programs were not compiled in time")
                return False
        return True

    def adapt(self, position: int, num: int, begin: float) -> None:
        """Extrapolate the time of `num` networks of one size to the remaining sizes.

        Perturbations are dropped before networks are, down to one block per size.
        """
        job, size = self.job, self.sizes[position]
        # A block costs the same however full it is.
        block = job.block_size(size)
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
    if len(index) and job.is_ready("perturb"):
        changed = job.perturb(key, pool.network, index)
        changed, _ = job.polish(changed, batches.count(changed), PERTURB_STEPS)
        pool = _add(pool, changed, job)
        yield "perturb", pool
    return pool


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


def _add(pool: Pool | None, networks: Network, job: Job) -> Pool:
    own = job.make_pool(networks)
    both = [own] if pool is None else [pool, own]
    return pools.merge(both, num_each=job.config.num_kept)
