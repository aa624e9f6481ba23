"""Pairs of table and end, in memory, to train `flow`."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from swajax.autoencoder.flow.moments import Moments, compute_moments
from swajax.pretrain.ends.shards import Shard, load_shard
from swajax.pretrain.ends.walk import SIZES

MAX_WEIGHT = 60.0  # ends with larger weights are left out
GOOD_RATIO, GOOD_MARGIN = 2.0, 1e-5  # of an end's true loss to the best of its size
MIN_TABLES, MIN_PAIRS = 1024, 2**15  # lengths of the arrays of a group
VALIDATION_PERIOD = 20  # one shard in 20 validates


class Pairs(NamedTuple):
    """Moments of T tables, and K ends of one depth with the tables they belong to.

    Of the K ends, the first `num` are real. T and K are rounded up, so that programs
    are not compiled again for every new shard.
    """

    num: Int[np.ndarray, " _"] | Int[np.ndarray, ""]
    moments: Moments  # leaves [T, ...]
    can_flip: Float[np.ndarray, " T"]  # whether targets can change their sign
    table: np.ndarray  # [K]
    weights: np.ndarray  # [K, P]
    kinds: np.ndarray  # [K, L, H]
    num_weights: np.ndarray  # [K]


Group = tuple[int, int, int]  # inputs, outputs, depth


def load_pairs(paths: Sequence[Path]) -> dict[Group, Pairs]:
    """Read shards and divide their good ends by shape of the table and depth.

    Raises:
      ValueError: a file is damaged or no shard.
    """
    parts: dict[Group, list[Pairs]] = {}
    for path in paths:
        shard, shape = load_shard(path)
        moments = jax.device_get(moments_of(shard))
        can_flip = np.full(len(shard.x), float(shape.objective != "softmax"))
        is_good = find_good(shard)
        for depth in np.unique(shard.depth[is_good]):
            table, end = np.nonzero(is_good & (shard.depth == depth))
            arrays = (shard.weights, shard.kinds, shard.num_weights)
            own = (leaf[table, end] for leaf in arrays)
            group = (shape.num_inputs, shape.num_outputs, int(depth))
            pairs = Pairs(np.int32([len(table)]), moments, can_flip, table, *own)
            parts.setdefault(group, []).append(pairs)
    return {group: _join(own) for group, own in parts.items()}


def divide_paths(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the shards to train and those to validate on."""
    # By number, so that a shard that validates never trains later.
    is_valid = [int(path.stem[-5:]) % VALIDATION_PERIOD == 0 for path in paths]
    train = [path for path, own in zip(paths, is_valid, strict=True) if not own]
    return train, [path for path, own in zip(paths, is_valid, strict=True) if own]


def find_good(shard: Shard) -> Bool[np.ndarray, "T M"]:
    """Flag the ends whose true loss is near the best of at most their size."""
    limit = np.abs(shard.weights.astype(np.float32)).max(axis=-1)
    is_good = (shard.num_weights > 0) & (limit < MAX_WEIGHT)
    loss = np.where(is_good, shard.true_loss, np.inf)
    best = np.stack(
        [
            np.where(shard.num_weights <= size, loss, np.inf).min(axis=1)
            for size in SIZES
        ]
    )
    row = (len(SIZES) - 1) - np.searchsorted(SIZES[::-1], shard.num_weights)
    own = np.take_along_axis(best.T, np.clip(row, 0, len(SIZES) - 1), axis=1)
    return is_good & (loss <= np.maximum(GOOD_RATIO * own, own + GOOD_MARGIN))


def moments_of(shard: Shard) -> Moments:
    """Return the moments of the tables of a shard."""
    num = np.arange(shard.x.shape[1])
    weight = (num[None] < shard.num_rows[:, None]).astype(np.float32)
    x, y = shard.x.astype(np.float32), shard.y.astype(np.float32)
    return _compute(x, y, weight, shard.is_input.astype(np.float32))


@jax.jit
def _compute(x: Array, y: Array, weight: Array, is_input: Array) -> Moments:
    def one(x: Array, y: Array, weight: Array, is_input: Array) -> Moments:
        return compute_moments(x, y, weight=weight, is_input=is_input)

    return jax.vmap(one)(x, y, weight, is_input)


def _join(parts: Sequence[Pairs]) -> Pairs:
    """Concatenate pairs; numbers of tables count on."""
    starts = np.cumsum([0, *(len(part.can_flip) for part in parts)])
    moved = [
        part._replace(table=(part.table + start).astype(np.int32))
        for part, start in zip(parts, starts, strict=False)
    ]
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *moved)
    pad = functools.partial(_pad, least=MIN_PAIRS)
    pairs = (pad(leaf) for leaf in joined[3:])
    moments, can_flip = jax.tree.map(
        functools.partial(_pad, least=MIN_TABLES), joined[1:3]
    )
    return Pairs(joined.num.sum(dtype=np.int32), moments, can_flip, *pairs)


def _pad(leaf: np.ndarray, *, least: int) -> np.ndarray:
    """Repeat rows up to a power of two."""
    num = max(least, 2 ** math.ceil(math.log2(len(leaf))))
    return np.resize(leaf, (num, *leaf.shape[1:]))
