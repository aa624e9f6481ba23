"""Rows of an estimator: merge equal rows, sort them, and split them in two.

Equal rows are merged into one row with the sum of their weights. A row of weight 2
therefore gives the same bits as the row repeated, and no row is in both parts. In a
split by group or in time order, rows are merged only within a group or part.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.utils import check_random_state, column_or_1d

from swajax.data import partitions
from swajax.data.folds import divide_into_folds
from swajax.data.partitions import SplitKind, hold_out
from swajax.data.problem import Problem
from swajax.io.configs import check_range

LAST_SHARE = 0.2  # of validation rows that nobody chose
MIN_ROWS = 10  # with fewer rows, both parts have all of them


class Parts(NamedTuple):
    """Indices of training and validation rows, and a seed for the search."""

    train: Int[np.ndarray, " _"]
    valid: Int[np.ndarray, " _"] | None
    seed: int
    folds: Int[np.ndarray, " _"] | None = None
    """fold of each training row, without a validation part"""


def divide(
    x: Float[np.ndarray, "N I"],
    y: Float[np.ndarray, " N"] | Int[np.ndarray, " N"],
    weight: Float[np.ndarray, " N"],
    *,
    share: float | None,
    random_state: int | np.random.RandomState | None,
    is_classes: bool,
    kind: SplitKind = "random",
    groups: Int[np.ndarray, " N"] | None = None,
) -> tuple[Problem, Parts]:
    """Merge equal rows and split them in two.

    Args:
      x: inputs.
      y: numbers or class codes.
      weight: weights >= 0, not all 0.
      share: share of validation rows, in (0, 1); None for folds, or for 0.2 if `kind`
        is `last`.
      random_state: seed or generator, as in scikit-learn.
      is_classes: whether `y` holds class codes; a random split is then stratified.
      kind: `last` if the last rows are the validation rows.
      groups: group of each row, from `encode_groups`: all rows of a group are in the
        same part.

    Returns:
      The merged rows and their parts.

    Raises:
      ValueError: the sum of the weights overflows, there is only one group, or a class
        has no training row.
    """
    has_folds = share is None and kind == "random"
    if has_folds and len(merge(x, y, weight).y) >= MIN_ROWS:
        return _divide_into_folds(x, y, weight, groups, random_state, is_classes)
    share = LAST_SHARE if share is None else share
    if kind == "random" and groups is None:
        rows = merge(x, y, weight)
        codes = rows.y[:, 0] if is_classes else np.zeros(len(rows.y))
        return rows, split(codes, share, random_state)
    split_seed, seed = _draw_seeds(random_state)
    if groups is None:
        rows, parts = _divide_last(x, y, weight, share, split_seed)
    else:
        rows, group = _merge_groups(x, y, weight, groups)
        codes = rows.y[:, 0] if is_classes else np.zeros(len(group))
        held = [math.ceil(share * len(group) - 1e-9)]
        parts = partitions.divide_groups(group, codes, held, split_seed)
    if is_classes and len(partitions.absent_classes(rows.y[:, 0], parts[0])):
        raise ValueError(
            "a class has no row to fit: all its rows are in the other part"
        )
    return rows, Parts(*parts, seed)


def _divide_into_folds(
    x: Float[np.ndarray, "N I"],
    y: np.ndarray,
    weight: Float[np.ndarray, " N"],
    groups: Int[np.ndarray, " N"] | None,
    random_state: int | np.random.RandomState | None,
    is_classes: bool,
) -> tuple[Problem, Parts]:
    """Merge equal rows of a group and divide them into folds."""
    split_seed, seed = _draw_seeds(random_state)
    if groups is None:
        rows, group = merge(x, y, weight), None
    else:
        rows, group = _merge_groups(x, y, weight, groups)
    if len(rows.x) < 2:
        return rows, Parts(np.zeros(1, int), np.zeros(1, int), seed)
    codes = rows.y[:, 0] if is_classes else np.zeros(len(rows.y))
    folds, _ = divide_into_folds(codes, split_seed, groups=group)
    return rows, Parts(np.arange(len(folds)), None, seed, folds)


def _merge_groups(
    x: Float[np.ndarray, "N I"],
    y: np.ndarray,
    weight: Float[np.ndarray, " N"],
    groups: Int[np.ndarray, " N"],
) -> tuple[Problem, Float[np.ndarray, " M"]]:
    """Return merged rows, and their groups."""
    rows = merge(np.column_stack([groups, x]), y, weight)
    return rows._replace(x=rows.x[:, 1:]), rows.x[:, 0]


def encode_groups(groups: Any, num_rows: int) -> Int[np.ndarray, " N"]:
    """Return a code per group.

    >>> encode_groups(["ann", "bob", "ann"], 3)
    array([0, 1, 0])

    Raises:
      ValueError: the number of groups is not that of the rows, or a group is missing.
    """
    groups = column_or_1d(groups)
    if len(groups) != num_rows:
        raise ValueError(f"groups must have {num_rows} values, got {len(groups)}")
    codes = pd.factorize(groups)[0]
    if (codes < 0).any():
        raise ValueError(f"groups has no value in row {int(np.argmin(codes))}")
    return codes


def merge(
    x: Float[np.ndarray, "N I"], y: np.ndarray, weight: Float[np.ndarray, " N"]
) -> Problem:
    """Return the distinct rows of positive weight, sorted, with summed weights.

    >>> merge(np.array([[2.0], [1.0], [2.0]]), np.zeros(3), np.ones(3)).x
    array([[1.],
           [2.]])

    Args:
      x: inputs.
      y: one number per row.
      weight: weights >= 0, not all 0; those of the result sum to 1.

    Raises:
      ValueError: the sum of the weights overflows.
    """
    table = np.column_stack([x, y])[weight > 0]
    table, index = np.unique(table, axis=0, return_inverse=True)
    weight = np.bincount(index.ravel(), weight[weight > 0])
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.isfinite(total):
        raise ValueError(f"sample_weight is too large, up to {weight.max():g}")
    return Problem(table[:, :-1], table[:, -1:], weight / total)


def split(
    codes: Float[np.ndarray, " N"],
    share: float,
    random_state: int | np.random.RandomState | None,
) -> Parts:
    """Split rows in two by `partitions.hold_out`, stratified by class.

    Args:
      codes: class of each row; all equal for a regression.
      share: share of validation rows, in (0, 1). Each class keeps a training row.
      random_state: seed or generator, as in scikit-learn.

    Raises:
      ValueError: the share is not in (0, 1).
    """
    check_range("valid_share", share, above=0, below=1)
    split_seed, seed = _draw_seeds(random_state)
    _, classes, counts = np.unique(codes, return_inverse=True, return_counts=True)
    is_single = counts[classes] == 1  # always training rows; the others are stratified
    single, rows = np.flatnonzero(is_single), np.flatnonzero(~is_single)
    number = math.ceil(share * len(codes) - 1e-9)
    number = min(number, len(rows) - int((counts > 1).sum()))
    if len(codes) < MIN_ROWS or number < 1:
        rows = np.random.default_rng(split_seed).permutation(len(codes))
        return Parts(rows, rows, seed)
    kept, held = hold_out(codes[rows], number, split_seed)
    return Parts(np.concatenate([single, rows[kept]]), rows[held], seed)


def _divide_last(
    x: Float[np.ndarray, "N I"],
    y: Float[np.ndarray, " N"] | Int[np.ndarray, " N"],
    weight: Float[np.ndarray, " N"],
    share: float,
    seed: int,
) -> tuple[Problem, partitions.Parts]:
    """Split rows in order and merge equal rows per part; both parts share few rows."""
    x, y, weight = (leaf[weight > 0] for leaf in (x, y, weight))
    if len(x) < MIN_ROWS:
        rows = merge(x, y, weight)
        everything = np.arange(len(rows.x))
        return rows, [everything, everything]
    held = [math.ceil(share * len(x) - 1e-9)]
    merged = [
        merge(x[part], y[part], weight[part])
        for part in partitions.divide_last(len(x), held, seed)
    ]
    rows = Problem(*(np.concatenate(leaves) for leaves in zip(*merged, strict=True)))
    return rows, np.split(np.arange(len(rows.x)), [len(merged[0].x)])


def _draw_seeds(random_state: int | np.random.RandomState | None) -> tuple[int, int]:
    """Return a seed for the split and one for the search."""
    rng = check_random_state(random_state)
    return int(rng.randint(2**31 - 1)), int(rng.randint(2**31 - 1))
