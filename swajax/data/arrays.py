"""Rows of numbers made ready for a search: distinct, in a fixed order, split in two.

Rows that are equal count as one with the sum of their weights, and rows are put in an
order of their own. So a row of weight 2 is that row twice, to the last bit, and none is
on both sides of the split into training and validation.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.utils import check_random_state

from swajax.data.problem import Problem

MIN_ROWS = 10  # of fewer, all are trained on and chosen by


class Parts(NamedTuple):
    """Numbers of the rows to train on and to choose by, and a seed for the search."""

    train: Int[np.ndarray, " _"]
    valid: Int[np.ndarray, " _"]
    seed: int


def merge(
    x: Float[np.ndarray, "N I"], y: np.ndarray, weight: Float[np.ndarray, " N"]
) -> Problem:
    """Distinct rows in ascending order, with the sums of their weights, if above 0."""
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
    """The share to choose by of each class, of which some rows stay; few stay all."""
    if not 0 < share < 1:
        raise ValueError(f"valid_share must be between 0 and 1, got {share}")
    rng = check_random_state(random_state)
    rows, seed = rng.permutation(len(codes)), int(rng.randint(2**31 - 1))
    rows = rows[np.argsort(codes[rows], kind="stable")]
    # Every fifth, say, in the order of the classes, but the first of each.
    is_valid = np.diff(np.floor(share * np.arange(len(rows) + 1) + 0.5)) > 0
    is_valid &= np.diff(codes[rows], prepend=-1) == 0
    if len(rows) < MIN_ROWS or not is_valid.any():
        return Parts(rows, rows, seed)
    return Parts(rows[~is_valid], rows[is_valid], seed)
