"""Train, validation and test points of known functions."""

import numpy as np

from swajax.data import functions
from swajax.data.problem import Problem

NUM_TRAIN, NUM_VALID, NUM_TEST = 400, 100, 1000


def sample_parts(name: str, seed: int) -> list[Problem]:
    """Sample training, validation and test points of a function.

    Inputs are scaled to [-1, 1]. Outputs are scaled to mean 0 and variance 1 over
    training and validation points together.

    Args:
      name: key of `swajax.data.functions.FUNCTIONS`.
      seed: of the points.
    """
    function = functions.FUNCTIONS[name]
    num = NUM_TRAIN + NUM_VALID + NUM_TEST
    x, y = functions.sample_points(name, seed=seed, num_points=num)
    low, high = np.array(function.low), np.array(function.high)
    x = 2 * (x - low) / (high - low) - 1
    seen = y[: NUM_TRAIN + NUM_VALID]
    y = (y - seen.mean()) / seen.std()
    bounds = np.cumsum((NUM_TRAIN, NUM_VALID))
    return [
        Problem(
            a.astype(np.float32), b[:, None].astype(np.float32), np.ones(len(b), "f4")
        )
        for a, b in zip(np.split(x, bounds), np.split(y, bounds), strict=True)
    ]
