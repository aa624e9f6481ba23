"""Source `random`: random networks that favour informative inputs."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float

from swajax import prior
from swajax.data.problem import Problem, padded_inputs
from swajax.io.compilation import compile_for
from swajax.search.sources.base import Source, StartRequest, Starts
from swajax.types import Key, Network, NetworkSpec

SMALL_WEIGHTS = 16  # largest size of small starts
LARGEST_START = 1.3  # size of the largest start, relative to that of the front
UNIFORM_SHARE = 0.5  # an input without effect alone may have one beside another
NUM_DRAWN = 64  # at a time: searches of any number of starts share a program
TINY = 1e-12  # variances below count as zero


def draw_starts(key: Key, request: StartRequest) -> Starts:
    """Draw networks of all sizes and as many small ones.

    Small ones are quick to polish, and small networks descend from them. The largest
    exceed the limit a little and are pruned.
    """
    # Padded inputs: tables of similar size share one compiled program.
    num_inputs = request.limits.num_inputs
    spec = dataclasses.replace(request.limits, num_inputs=padded_inputs(num_inputs))
    weights = sampling_weights(request.train)
    more = spec.num_inputs - num_inputs
    largest = LARGEST_START * request.max_weights
    draw = functools.partial(
        _sample(spec),
        num_inputs=num_inputs,
        sampling_weights=np.pad(weights, (0, more), constant_values=1.0),
    )
    parts = []
    for own_key, size in zip(
        jax.random.split(key), (min(SMALL_WEIGHTS, largest), largest), strict=True
    ):
        keys = jax.random.split(own_key, -(-request.num_starts // NUM_DRAWN))
        drawn = [draw(one, max_weights=float(size)) for one in keys]
        part = jax.tree.map(lambda *leaves: np.concatenate(leaves), *drawn)
        parts.append(jax.tree.map(lambda leaf: leaf[: request.num_starts], part))
    networks = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return Starts(networks._replace(first=networks.first[:, :num_inputs]), 0)


@functools.cache
def _sample(spec: NetworkSpec) -> Callable[..., Network]:
    """Return `swajax.prior.sample_starts` as a program that compiles fast."""
    fn = functools.partial(prior.sample_starts, num=NUM_DRAWN, spec=spec)
    return compile_for("once", fn)


def sampling_weights(train: Problem) -> Float[np.ndarray, " I"]:
    """Compute input sampling weights from univariate quadratic fits, of mean 1.

    Half of the weight is uniform; the other half follows the share of the variance of
    the outputs that a parabola of each input alone explains. Where a neuron has room
    for all inputs (`prior.MIN_FAN_IN`), the weights are uniform.

    Args:
      train: rows to fit, weights of any scale.

    Example:
      >>> import numpy as np
      >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 8))
      >>> weights = sampling_weights(Problem(x, x[:, :1], np.ones(200)))
      >>> int(weights.argmax()), float(weights.mean().round(3))
      (0, 1.0)
    """
    num_inputs = train.x.shape[1]
    uniform = np.ones(num_inputs, np.float32)
    if num_inputs <= prior.MIN_FAN_IN:
        return uniform
    with np.errstate(all="ignore"):  # huge numbers: the search refuses them
        explained = _explained_variance(train)
    if not explained.sum() > 0:  # false for NaN, too
        return uniform
    informed = (1 - UNIFORM_SHARE) * explained / explained.mean()
    return np.float32(UNIFORM_SHARE + informed)


def _explained_variance(train: Problem) -> Float[np.ndarray, " I"]:
    """Share of variance that each input explains, summed over the outputs."""
    x, y, weight = (np.asarray(leaf, np.float64).T for leaf in train)
    weight = weight / weight.sum()

    def centre(values: np.ndarray) -> np.ndarray:
        return values - (values @ weight)[:, None]

    linear, y = centre(x), centre(y)
    square = centre(np.square(linear))
    slope = (square * linear) @ weight / (np.square(linear) @ weight + TINY)
    y = y / np.sqrt(np.square(y) @ weight + TINY)[:, None]
    explained = np.zeros(len(linear))
    for part in (linear, square - slope[:, None] * linear):  # orthogonal
        shares = np.square((part * weight[None]) @ y.T).sum(axis=1)
        explained += shares / (np.square(part) @ weight + TINY)
    return explained


SOURCE = Source(draw_starts, is_timed=False)
