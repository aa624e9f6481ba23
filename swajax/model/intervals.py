"""Intervals of the error on new rows, by resampling the losses of rows."""

import numpy as np
from jaxtyping import Float

LEVEL = 0.94  # on real tables, 90 % of the test errors lie in such an interval
NUM_DRAWS = 1000


def error_intervals(
    losses: Float[np.ndarray, "K N"],
    weight: Float[np.ndarray, " N"],
    num_new: int,
) -> Float[np.ndarray, "K 2"]:
    """Return 90 % intervals of the mean loss on `num_new` new rows.

    Rows are drawn with replacement, and from these the new rows (a bootstrap in two
    stages), so that an interval covers both the few rows that the loss is known from
    and the few rows that it is compared with.

    >>> losses = np.random.default_rng(0).exponential(size=(1, 400))
    >>> error_intervals(losses, np.ones(400), num_new=100).round(1).tolist()
    [[0.9, 1.4]]

    Args:
      losses: loss of each network on each row that it was not fitted to.
      weight: weights of the rows.
      num_new: number of new rows.
    """
    rng, num = np.random.default_rng(0), len(weight)
    known = rng.multinomial(num, np.full(num, 1 / num), size=NUM_DRAWS)
    drawn = np.array([rng.multinomial(num_new, row / num) for row in known])
    weights = drawn * weight
    totals = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, totals, where=totals > 0, out=0 * weights)
    means = weights[totals[:, 0] > 0] @ losses.T
    ends = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    return np.quantile(means, ends, axis=0).T
