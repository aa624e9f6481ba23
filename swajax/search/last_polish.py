"""The last polish of a search: on all rows, in float64, and the choice of the front."""

import contextlib
from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Bool

from swajax.data.problem import Problem
from swajax.io import interrupts
from swajax.model.front import Front
from swajax.refine import batches, buckets
from swajax.refine.block_programs import ProgramName
from swajax.search import pool as pools
from swajax.search.config import SearchConfig
from swajax.search.job import Job
from swajax.search.pool import Pool
from swajax.types import Network

LAST_STEPS, MIN_LAST_STEPS = 200, 40
LAST_ROWS = 4096  # with more rows, the last polish takes fewer steps
LAST_BUCKET = 64  # smaller networks are polished as if they had so many weights

LastProgram = tuple[ProgramName, int, Problem]
"""Name, capacity and rows of a program."""


def select(pool: Pool, job: Job) -> Front:
    """Return the front, its networks polished where that does not hurt on validation.

    In float64 where the backend has it and its programs are compiled in time: the last
    digits count.
    """
    with _last_precision(job, ("losses", 1, job.valid)):
        return _select(pool, job)


@contextlib.contextmanager
def _last_precision(job: Job, *more: LastProgram) -> Iterator[None]:
    """Use float64 within the block, if its programs are compiled in time."""
    has_x64 = jax.default_backend() != "tpu"
    if has_x64:
        with jax.enable_x64(True):
            request_last_programs(job, *more)
            has_x64 = all(
                job.is_ready(*program, seconds=job.seconds_left())
                for program in (*_last_programs(job), *more)
            )
    if not has_x64:
        job.leave_out("the last polish in float64")
    with jax.enable_x64(has_x64):
        yield


def request_last_programs(job: Job, *more: LastProgram) -> None:
    """Compile the programs of the last polish, in the current floating-point type."""
    for program in (*_last_programs(job), *more):
        job.request(*program)


def _last_programs(job: Job) -> list[LastProgram]:
    sizes = _last_buckets(job.config)
    return [
        ("losses", 1, job.train),
        *(("polish", size, job.train) for size in sizes),
    ]


def _last_buckets(config: SearchConfig) -> list[int]:
    """Return the capacities of the last polish: few programs for few networks."""
    largest = buckets.bucket_of(config.max_weights)
    return sorted({min(LAST_BUCKET, largest), largest})


def _select(pool: Pool, job: Job) -> Front:
    pool = pool.take(is_small(pool, job.config))
    pool = pool._replace(network=jax.tree.map(_to_float64, pool.network))
    front = pools.front_of(pool, *job.validate(pool.network))
    polished = _polish_front(front, job)
    # Both compete: only validation rows tell which is better.
    both = [front.network, polished]
    networks = jax.tree.map(lambda *leaves: np.concatenate(leaves), *both)
    pool = _make_last_pool(networks, job)
    scores = job.validate(pool.network)
    front = pools.front_of(pool, *scores, max_error=job.config.max_error)
    first = front.network.first[:, : job.spec.num_inputs]
    return front._replace(network=front.network._replace(first=first))


def polish_pool(pool: Pool, job: Job) -> Pool:
    """Polish networks on all rows, in float64 if its programs are compiled in time."""
    with _last_precision(job):
        pool = pool._replace(network=jax.tree.map(_to_float64, pool.network))
        return _make_last_pool(_polish_front(pool, job), job)


def _make_last_pool(networks: Network, job: Job) -> Pool:
    loss, _ = job.validate(networks, job.train)
    return pools.make_pool(networks, batches.count(networks), loss)


def _polish_front(front: Front | Pool, job: Job) -> Network:
    """Polish the networks of a front on all rows until the time budget is spent.

    A second Ctrl-C ends it too.
    """
    networks = jax.tree.map(np.copy, front.network)
    capacities = np.array(_last_buckets(job.config))
    sizes = capacities[np.searchsorted(capacities, front.num_weights)]
    share = min(1.0, LAST_ROWS / len(job.train.x))
    num_steps = max(MIN_LAST_STEPS, round(share * LAST_STEPS))
    for index in job.divide(sizes, sizes, job.train):
        if job.is_over() or interrupts.count() > 1:
            break
        part = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
        part, _ = job.polish(part, sizes[index], num_steps, job.train)
        for leaf, new in zip(networks, part, strict=True):
            leaf[index] = new
    return networks


def is_small(pool: Pool, config: SearchConfig) -> Bool[np.ndarray, " R"]:
    """Return whether networks are within the limit of the front."""
    return pool.num_weights <= config.max_weights


def _to_float64(leaf: np.ndarray) -> np.ndarray:
    """Convert to float64 where it is in use."""
    is_due = leaf.dtype == np.float32 and jax.config.jax_enable_x64
    return leaf.astype(np.float64) if is_due else leaf
