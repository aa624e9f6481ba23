"""Buckets: networks are grouped by weight count, so that few programs are compiled."""

import itertools
import math
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Int

from swajax.data.problem import Problem
from swajax.io.devices import all_devices
from swajax.objectives import num_directions
from swajax.refine.quadratic import Fit

BLOCK_NUMBERS = 2**21  # upper limit of the numbers in the largest array of a block
BUCKETS = (32, 64, 128, 256)  # capacities, each of them a compiled program
# Larger blocks are no faster on a CPU device. Together the devices take what a search
# keeps of each size.
MAX_BLOCK, MAX_TOTAL = 16, 32
# Blocks per device of an accelerator: the smallest one that holds all networks, if it
# fits into this share of the memory.
ACCELERATOR_BLOCKS, MEMORY_SHARE = (32, 512, 4096), 0.25
NUM_ARRAYS = 6  # arrays of the size of the largest one that a program holds
DEFAULT_MEMORY = 2**33  # bytes, of an accelerator that does not tell


def bucket_of(size: int) -> int:
    """Return the smallest bucket that holds this number of weights.

    >>> bucket_of(10), bucket_of(32), bucket_of(33)
    (32, 32, 64)
    """
    if size > BUCKETS[-1]:
        raise ValueError(f"networks must have <= {BUCKETS[-1]} weights, one has {size}")
    return next(bucket for bucket in BUCKETS if bucket >= size)


def block_size(
    size: int,
    problem: Problem,
    *,
    fit: Fit,
    devices: Sequence[jax.Device] | None = None,
    num_networks: int = MAX_TOTAL,
) -> int:
    """Return the number of networks per block: a power of two for each device.

    Args:
      size: upper limit of the weights per network.
      problem: rows to fit.
      fit: the settings of the fit.
      devices: devices that share the block; all of this process by default.
      num_networks: number of networks to process; only accelerators depend on it.
    """
    devices = all_devices(devices)
    directions = num_directions(problem.y.shape[1], fit.objective)
    numbers = len(problem.x) * directions * bucket_of(size)
    if is_accelerated(devices):
        limit = MEMORY_SHARE * _memory(devices[0]) / (4 * NUM_ARRAYS)
        wanted = math.ceil(num_networks / len(devices))
        most = next(
            (n for n in ACCELERATOR_BLOCKS if n >= wanted), ACCELERATOR_BLOCKS[-1]
        )
    else:
        limit = BLOCK_NUMBERS
        most = min(MAX_BLOCK, max(MAX_TOTAL // len(devices), 1))
    return len(devices) * 2 ** int(math.log2(np.clip(limit / numbers, 1, most)))


def is_accelerated(devices: Sequence[jax.Device]) -> bool:
    """Return whether blocks are as large as accelerators need them."""
    return devices[0].platform != "cpu"


def _memory(device: jax.Device) -> int:
    """Return the bytes of memory of a device."""
    stats = device.memory_stats() or {}
    return stats.get("bytes_limit", DEFAULT_MEMORY)


def divide(
    sizes: Int[np.ndarray, " R"],
    rank: np.ndarray,
    problem: Problem,
    *,
    fit: Fit,
    devices: Sequence[jax.Device] | None = None,
    num_blocks: int,
) -> list[Int[np.ndarray, " S"]]:
    """Divide networks into parts of one bucket and at most `num_blocks` blocks each.

    Args:
      sizes: number of weights of each network.
      rank: sort key of each network; within a bucket, low ranks come first.
      problem: rows to fit.
      fit: the settings of the fit.
      devices: devices that share a block; all of this process by default.
      num_blocks: number of blocks per part.

    Returns:
      Indices of the networks of each part: the first part of each bucket, then the
      second of each, and so on.
    """
    buckets, columns = np.array([bucket_of(int(size)) for size in sizes]), []
    for bucket in np.unique(buckets):
        index = np.flatnonzero(buckets == bucket)
        index = index[np.argsort(rank[index], kind="stable")]
        num = num_blocks * block_size(
            int(bucket), problem, fit=fit, devices=devices, num_networks=len(index)
        )
        columns.append(np.split(index, range(num, len(index), num)))
    parts = itertools.chain.from_iterable(itertools.zip_longest(*columns))
    return [part for part in parts if part is not None]
