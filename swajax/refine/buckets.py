"""TODO swajax/refine/buckets.py."""

import itertools

import numpy as np
from jaxtyping import Int

from swajax.data.problem import Problem
from swajax.objectives import num_directions
from swajax.refine.quadratic import Fit

BLOCK_NUMBERS = 2**21  # numbers in the largest array of a block
MAX_BLOCK = 16
BUCKETS = (32, 64, 96, 128, 256)  # rooms for weights; each is a compiled program


def block_size(size: int, problem: Problem, *, fit: Fit) -> int:
    """How many networks of so many weights go through at a time."""
    directions = num_directions(problem.y.shape[1], fit.objective)
    numbers = len(problem.x) * directions * bucket_of(size)
    return 2 ** int(np.log2(np.clip(BLOCK_NUMBERS / numbers, 1, MAX_BLOCK)))


def divide(
    sizes: Int[np.ndarray, " R"],
    rank: np.ndarray,
    problem: Problem,
    *,
    fit: Fit,
    num_blocks: int,
) -> list[Int[np.ndarray, " S"]]:
    """Indices of networks, in parts of so many blocks of one shape.

    The first part of each shape comes first, then the second of each; in a shape those
    of low rank come first.
    """
    rooms, turns = np.array([bucket_of(int(size)) for size in sizes]), []
    for room in np.unique(rooms):
        index = np.flatnonzero(rooms == room)
        index = index[np.argsort(rank[index], kind="stable")]
        num = num_blocks * block_size(int(room) - 1, problem, fit=fit)
        turns.append(np.split(index, range(num, len(index), num)))
    each = itertools.chain.from_iterable(itertools.zip_longest(*turns))
    return [part for part in each if part is not None]


def bucket_of(size: int) -> int:
    """Places that a program has for networks of so many weights."""
    if size >= BUCKETS[-1]:
        raise ValueError(f"networks must have < {BUCKETS[-1]} weights, one has {size}")
    return next(room for room in BUCKETS if room > size)
