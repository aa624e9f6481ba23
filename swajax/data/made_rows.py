"""Made-up rows between the rows of a table, for a teacher to predict."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from pandas.api import types

NUM_NEAR = 5  # neighbours of a row, one of which is mixed with it
FEW_VALUES = 20  # columns of at most so many numbers are not mixed


def make_rows(
    frame: pd.DataFrame, x: Float[np.ndarray, "N I"], num: int, *, seed: int
) -> pd.DataFrame:
    """Make rows between random rows and one of their nearest neighbours.

    Numbers are mixed in a random proportion, so that they stay within the range of
    their column; whole numbers stay whole. Text, and numbers of few distinct values,
    are taken from either of the two rows, in the same proportion.

    >>> frame = pd.DataFrame({"a": np.linspace(0, 1, 50), "b": ["x", "y"] * 25})
    >>> made = make_rows(frame, frame[["a"]].to_numpy(), 100, seed=0)
    >>> bool(made["a"].between(0, 1).all()), sorted(set(made["b"]))
    (True, ['x', 'y'])

    Args:
      frame: the rows.
      x: the same rows as inputs of a network, which tell the distances.
      num: number of rows to make.
      seed: seed of all draws.
    """
    rng = np.random.default_rng(seed)
    first = rng.integers(len(x), size=num)
    second = _draw_near(x, first, rng)
    share = rng.random(num)
    made = {
        name: _mix(frame[name], first, second, share, rng.random(num) < share)
        for name in frame
    }
    return pd.DataFrame(made)


def _draw_near(
    x: Float[np.ndarray, "N I"], index: Int[np.ndarray, " M"], rng: np.random.Generator
) -> Int[np.ndarray, " M"]:
    """Return one of the nearest neighbours of each row of an index."""
    from sklearn.neighbors import NearestNeighbors  # slow to import

    if not len(index):
        return index
    search = NearestNeighbors(n_neighbors=min(NUM_NEAR + 1, len(x))).fit(x)
    near = search.kneighbors(x[index], return_distance=False)[:, 1:]
    return near[np.arange(len(index)), rng.integers(near.shape[1], size=len(index))]


def _mix(
    column: pd.Series,
    first: Int[np.ndarray, " M"],
    second: Int[np.ndarray, " M"],
    share: Float[np.ndarray, " M"],
    is_second: Bool[np.ndarray, " M"],
) -> pd.Series:
    """Return cells between those of two indices of rows."""
    one, two = (column.iloc[rows].reset_index(drop=True) for rows in (first, second))
    is_number = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
    if not is_number or column.nunique() <= FEW_VALUES:
        return two.where(is_second, one)
    mixed = one + share * (two - one)
    is_whole = (column.dropna() == column.dropna().round()).all()
    return mixed.round() if is_whole else mixed
