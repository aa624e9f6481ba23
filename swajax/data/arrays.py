"""Rows of an estimator: merge equal rows, sort them, and split them in two.

Equal rows are merged into one row with the sum of their weights. A row of weight 2
therefore gives the same bits as the row repeated, and no row is in both parts.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.utils import check_random_state

from swajax.data.problem import Problem
from swajax.data.splits import hold_out
from swajax.io.configs import check_range

MIN_ROWS = 10  # with fewer rows, both parts have all of them


class Parts(NamedTuple):
    """Indices of training and validation rows, and a seed for the search."""

    train: Int[np.ndarray, " _"]
    valid: Int[np.ndarray, " _"]
    seed: int


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
    """Split rows in two by `splits.hold_out`, stratified by class.

    Args:
      codes: class of each row; all equal for a regression.
      share: share of validation rows, in (0, 1). Each class keeps a training row.
      random_state: seed or generator, as in scikit-learn.

    Raises:
      ValueError: the share is not in (0, 1).
    """
    check_range("valid_share", share, above=0, below=1)
    rng = check_random_state(random_state)
    split_seed, seed = (int(rng.randint(2**31 - 1)) for _ in range(2))
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
