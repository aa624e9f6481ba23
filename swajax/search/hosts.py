"""One search on several hosts: each process has a share of the starts and of the pool.

After each stage the pools of all processes are merged, so that all of them end with the
same front. Host code: networks travel as bytes, whatever floating-point types JAX uses.
"""

import math
import time
import zlib
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import UInt8

from swajax.data.problem import Problem
from swajax.search import pool as pools
from swajax.search.pool import Pool
from swajax.types import Key, Network

GRACE = 10.0  # seconds for `swajax.io.hosts` to say which process has ended


def own_key(key: Key) -> Key:
    """Return a key of this process; the same key on one host."""
    is_alone = jax.process_count() == 1
    return key if is_alone else jax.random.fold_in(key, jax.process_index())


def own_number(num: int) -> int:
    """Return the share of this process of `num` starts, at least one."""
    return max(1, len(range(jax.process_index(), num, jax.process_count())))


def own_networks(networks: Network) -> Network:
    """Return every P-th network for P processes, or all if they are too few."""
    num = jax.process_count()
    if len(networks.depth) < num:
        return networks
    return jax.tree.map(lambda leaf: leaf[jax.process_index() :: num], networks)


def check_same(config: Any, *parts: Problem | None) -> None:
    """Check that all processes have the same settings and rows.

    Raises:
      ValueError: they have not.
    """
    if jax.process_count() == 1:
        return
    leaves = jax.tree.leaves(parts)
    code = zlib.crc32(repr((config, [leaf.shape for leaf in leaves])).encode())
    codes = _gather(np.array([code], np.uint32))
    # Machines of other kinds may round differently.
    means = _gather(np.array([np.mean(np.abs(leaf)) for leaf in leaves], np.float32))
    if (codes != codes[0]).any() or not np.allclose(means, means[0], rtol=1e-3):
        raise ValueError(
            "the processes have different tables or options; all must have the same"
        )


def any_process(flag: bool) -> bool:
    """Return whether the flag is true in any process; all must call it."""
    if jax.process_count() == 1:
        return flag
    return bool(_gather(np.array([flag])).any())


class Merger:
    """Merges of the pools of all processes, one after each stage.

    The processes stop together: after the merge in which one of them says that it has
    ended, because of the clock or of a signal.
    """

    def __init__(self, num_each: int) -> None:
        """Keep at most `num_each` networks of each size."""
        self.num_each, self.has_ended = num_each, False
        self.is_alone = jax.process_count() == 1

    def merge(self, pool: Pool, *, is_last: bool = False) -> Pool:
        """Return the merged pool, the same in all processes."""
        if self.is_alone:
            self.has_ended = is_last
            return pool
        packed = _pack(pool)
        header = _gather(np.array([*packed.shape, is_last], np.int32))
        num_rows = 2 ** math.ceil(math.log2(max(header[:, 0].max(), 1)))
        padded = np.pad(packed, ((0, num_rows - len(packed)), (0, 0)))
        found = _gather(padded)
        parts = [
            _unpack(rows[:num], pool)
            for rows, num in zip(found, header[:, 0], strict=True)
        ]
        self.has_ended = bool(header[:, 2].any())
        return pools.merge(parts, num_each=self.num_each)

    def own(self, pool: Pool) -> Pool:
        """Return the networks that this process works on: every P-th of each size."""
        if self.is_alone:
            return pool
        order = np.lexsort((pool.loss, pool.num_weights))
        sizes = pool.num_weights[order]
        rank = np.arange(len(sizes)) - np.searchsorted(sizes, sizes)
        index = order[rank % jax.process_count() == jax.process_index()]
        return pool.take(index) if len(index) else pool


def _pack(pool: Pool) -> UInt8[np.ndarray, "R B"]:
    """Return a row of bytes per network."""
    num = len(pool.loss)
    leaves = [np.ascontiguousarray(leaf) for leaf in jax.tree.leaves(pool)]
    rows = [
        np.frombuffer(leaf.tobytes(), np.uint8).reshape(num, _row_bytes(leaf))
        for leaf in leaves
    ]
    return np.concatenate(rows, axis=1)


def _unpack(rows: UInt8[np.ndarray, "R B"], like: Pool) -> Pool:
    """Return the networks of rows of bytes, with the types and shapes of a pool."""
    leaves, tree = jax.tree.flatten(like)
    ends = np.cumsum([_row_bytes(leaf) for leaf in leaves])
    found = [
        np.frombuffer(part.tobytes(), leaf.dtype).reshape(len(rows), *leaf.shape[1:])
        for part, leaf in zip(np.split(rows, ends[:-1], axis=1), leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, [leaf.copy() for leaf in found])


def _row_bytes(leaf: np.ndarray) -> int:
    return leaf.dtype.itemsize * math.prod(leaf.shape[1:])


def _gather(values: np.ndarray) -> np.ndarray:
    """Return the arrays of all processes; they must have one shape.

    Raises:
      ValueError: the connection to a process is lost.
    """
    try:
        return np.asarray(multihost_utils.process_allgather(values))
    except Exception as error:  # JAX raises several kinds
        time.sleep(GRACE)  # most likely a process has ended, and this one does now
        line = str(error).partition("\n")[0]
        raise ValueError(f"the other processes are out of reach: {line}") from None
