"""Which inputs are worth a look, before any network has seen them."""

import numpy as np
from jaxtyping import Float

from swajax import prior
from swajax.polish import Problem

BY_CHANCE = 0.5  # of the odds: what tells nothing alone may do so beside another input
TINY = 1e-12  # variances below this are none


def find_odds(train: Problem, num_inputs: int) -> Float[np.ndarray, " I"]:
    """Odds of each input to be drawn, of mean 1: half alike, half by what it tells.

    What it tells is the share of the variance of the outputs that a parabola of this
    input alone explains. Where a neuron has room for all inputs, all are alike.

    Args:
      train: points to fit.
      num_inputs: inputs in use, the first ones; the odds of others are 1.
    """
    odds = np.ones(train.x.shape[0], np.float32)
    if num_inputs > prior.MIN_FAN_IN:
        with np.errstate(all="ignore"):  # huge numbers, which the search refuses
            told = _explain(train._replace(x=train.x[:num_inputs]))
        if told.sum() > 0:  # never for NaN
            odds[:num_inputs] = BY_CHANCE + (1 - BY_CHANCE) * told / told.mean()
    return odds


def _explain(train: Problem) -> Float[np.ndarray, " I"]:
    """Shares of variance that each input explains, summed over the outputs."""
    weight = train.weight / train.weight.sum()

    def centre(values: np.ndarray) -> np.ndarray:
        return values - (values @ weight)[:, None]

    line, y = centre(train.x), centre(train.y)
    bend = centre(np.square(line))
    slope = (bend * line) @ weight / (np.square(line) @ weight + TINY)
    y = y / np.sqrt(np.square(y) @ weight + TINY)[:, None]
    told = np.zeros(len(line))
    for part in (line, bend - slope[:, None] * line):  # at right angles
        shares = np.square((part * weight[None]) @ y.T).sum(axis=1)
        told += shares / (np.square(part) @ weight + TINY)
    return told
