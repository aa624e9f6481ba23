"""Which inputs are worth a look, before any network has seen them."""

import jax
import numpy as np
from jaxtyping import Float

from swajax import prior
from swajax.data.problem import Problem
from swajax.search import stages
from swajax.search.config import SearchConfig
from swajax.types import Key, Network, NetworkSpec

SMALL_WEIGHTS = 16  # of small starts, at most


UNIFORM_SHARE = (
    0.5  # of the odds: what tells nothing alone may do so beside another input
)
TINY = 1e-12  # variances below this are none


def sampling_weights(train: Problem, num_inputs: int) -> Float[np.ndarray, " I"]:
    """Odds of each input to be drawn, of mean 1: half alike, half by what it tells.

    What it tells is the share of the variance of the outputs that a parabola of this
    input alone explains. Where a neuron has room for all inputs, all are alike.

    Args:
      train: points to fit.
      num_inputs: inputs in use, the first ones; the odds of others are 1.
    """
    odds = np.ones(train.x.shape[1], np.float32)
    if num_inputs > prior.MIN_FAN_IN:
        with np.errstate(all="ignore"):  # huge numbers, which the search refuses
            told = _explain(train._replace(x=train.x[:, :num_inputs]))
        if told.sum() > 0:  # never for NaN
            odds[:num_inputs] = UNIFORM_SHARE + (1 - UNIFORM_SHARE) * told / told.mean()
    return odds


def _explain(train: Problem) -> Float[np.ndarray, " I"]:
    """Shares of variance that each input explains, summed over the outputs."""
    weight = train.weight / train.weight.sum()

    def centre(values: np.ndarray) -> np.ndarray:
        return values - (values @ weight)[:, None]

    line, y = centre(train.x.T), centre(train.y.T)
    bend = centre(np.square(line))
    slope = (bend * line) @ weight / (np.square(line) @ weight + TINY)
    y = y / np.sqrt(np.square(y) @ weight + TINY)[:, None]
    told = np.zeros(len(line))
    for part in (line, bend - slope[:, None] * line):  # at right angles
        shares = np.square((part * weight[None]) @ y.T).sum(axis=1)
        told += shares / (np.square(part) @ weight + TINY)
    return told


def draw_starts(
    key: Key,
    config: SearchConfig,
    spec: NetworkSpec,
    train: Problem,
    *,
    num_inputs: int | None = None,
) -> Network:
    """Random networks of all sizes and as many small ones, leaves [R, ...].

    Small ones are quick to polish and what small networks come from; some of the others
    are a little too large.

    Args:
      key: consumed.
      config: how many of either kind, and how large.
      spec: limits of the networks.
      train: tells which inputs are worth a look.
      num_inputs: inputs in use, the first ones; by default all.
    """
    num_inputs = spec.num_inputs if num_inputs is None else num_inputs
    odds = sampling_weights(train, num_inputs)
    most = stages.LARGEST_START * config.max_weights
    parts = [
        prior.sample_starts(
            own_key,
            num=config.num_starts,
            spec=spec,
            max_weights=float(size),  # of one type: one compiled program
            num_inputs=num_inputs,
            sampling_weights=odds,
        )
        for own_key, size in zip(
            jax.random.split(key), (min(SMALL_WEIGHTS, most), most), strict=True
        )
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
