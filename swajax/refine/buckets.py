"""Buckets: networks are grouped by weight count, so that few programs are compiled."""

import itertools

import numpy as np
from jaxtyping import Int

from swajax.data.problem import Problem
from swajax.objectives import num_directions
from swajax.refine.quadratic import Fit

BLOCK_NUMBERS = 2**21  # upper limit of the numbers in the largest array of a block
MAX_BLOCK = 16  # networks
BUCKETS = (32, 64, 96, 128, 256)  # capacities, each of them a compiled program


def bucket_of(size: int) -> int:
    """Return the smallest bucket with a capacity above this number of weights.

    >>> bucket_of(10), bucket_of(31), bucket_of(32)
    (32, 32, 64)
    """
    if size >= BUCKETS[-1]:
        raise ValueError(f"networks must have < {BUCKETS[-1]} weights, one has {size}")
    return next(bucket for bucket in BUCKETS if bucket > size)


def block_size(size: int, problem: Problem, *, fit: Fit) -> int:
    """Return the number of networks per block: a power of two, at most `MAX_BLOCK`.

    Args:
      size: upper limit of the weights per network.
      problem: rows to fit.
      fit: the settings of the fit.
    """
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
    """Divide networks into parts of one bucket and at most `num_blocks` blocks each.

    Args:
      sizes: number of weights of each network.
      rank: sort key of each network; within a bucket, low ranks come first.
      problem: rows to fit.
      fit: the settings of the fit.
      num_blocks: number of blocks per part.

    Returns:
      Indices of the networks of each part: the first part of each bucket, then the
      second of each, and so on.
    """
    buckets, columns = np.array([bucket_of(int(size)) for size in sizes]), []
    for bucket in np.unique(buckets):
        index = np.flatnonzero(buckets == bucket)
        index = index[np.argsort(rank[index], kind="stable")]
        num = num_blocks * block_size(int(bucket) - 1, problem, fit=fit)
        columns.append(np.split(index, range(num, len(index), num)))
    parts = itertools.chain.from_iterable(itertools.zip_longest(*columns))
    return [part for part in parts if part is not None]
