"""The rows of an estimator: equal rows merged, in a fixed order, split in two.

Equal rows count as one with the sum of their weights, and the rows are sorted. So a row
of weight 2 gives the same bits as that row twice, and no row is in both parts.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.utils import check_random_state

from swajax.data.partitions import hold_out
from swajax.data.problem import Problem
from swajax.io.configs import check_range

MIN_ROWS = 10  # fewer rows are all used for both fitting and choosing


class Parts(NamedTuple):
    """Indices of the rows to fit and to choose by, and a seed for the search."""

    train: Int[np.ndarray, " _"]
    valid: Int[np.ndarray, " _"]
    seed: int


def merge(
    x: Float[np.ndarray, "N I"], y: np.ndarray, weight: Float[np.ndarray, " N"]
) -> Problem:
    """Return the distinct rows of positive weight, sorted, with the sums of weights.

    >>> merge(np.array([[2.0], [1.0], [2.0]]), np.zeros(3), np.ones(3)).x
    array([[1.],
           [2.]])

    Args:
      x: inputs.
      y: one number per row.
      weight: weights >= 0, not all 0; the result has the sum 1.

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
      share: share of the rows to choose by, in (0, 1). Each class keeps a row to fit.
      random_state: seed or generator, as in scikit-learn.

    Raises:
      ValueError: the share is not in (0, 1).
    """
    check_range("valid_share", share, above=0, below=1)
    rng = check_random_state(random_state)
    split_seed, seed = (int(rng.randint(2**31 - 1)) for _ in range(2))
    _, classes, counts = np.unique(codes, return_inverse=True, return_counts=True)
    is_single = counts[classes] == 1  # such rows stay; the others are stratified
    single, rows = np.flatnonzero(is_single), np.flatnonzero(~is_single)
    number = math.ceil(share * len(codes) - 1e-9)
    number = min(number, len(rows) - int((counts > 1).sum()))
    if len(codes) < MIN_ROWS or number < 1:
        rows = np.random.default_rng(split_seed).permutation(len(codes))
        return Parts(rows, rows, seed)
    kept, held = hold_out(codes[rows], number, split_seed)
    return Parts(np.concatenate([single, rows[kept]]), rows[held], seed)
