"""Source `linear`: linear models of each size, by forward selection.

On few rows a linear model is often the best network of its size, and random networks
reach it by a detour only.
"""

from collections.abc import Iterator

import jax
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit, softmax

from swajax.data.problem import LARGEST, Problem, thin
from swajax.network.activations import RECORDS
from swajax.objectives import Objective
from swajax.search.sources.base import Source, StartRequest, Starts
from swajax.search.sources.random_networks import LARGEST_START
from swajax.types import Key, Network, NetworkSpec

MAX_ROWS = 2000  # selection on more rows takes seconds and hardly differs
NUM_NEWTON = 2  # steps after each selection where the loss is not quadratic
LARGE_STEP = 8  # a model of many weights gets one in eight more at a time
TINY = 1e-9
SMALL = 0.02  # weights of nearly linear neurons, relative to those of the model


def find_linear(key: Key, request: StartRequest) -> Starts:
    """Return linear models of 1, 2, ... inputs as networks of one hidden layer."""
    del key  # nothing is random
    limits = request.limits
    largest = max(LARGEST_START * request.max_weights, limits.num_outputs + 2)
    rows, networks = thin(request.train, MAX_ROWS), []
    for weights in select_forward(rows, request.objective, limits.max_width):
        if count(weights) > largest:
            break
        networks.append(to_network(weights, limits))
    if not networks:  # no input helps
        width = min(limits.num_outputs, limits.max_width)
        weights = np.zeros((1 + limits.num_inputs, limits.num_outputs))
        weights[1, :width] = TINY
        networks = [to_network(weights, limits)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *networks)
    return Starts(stacked, 0)


def select_forward(
    rows: Problem, objective: Objective, max_outputs: int, decay: float | None = None
) -> Iterator[Float[np.ndarray, "J O"]]:
    """Fit linear models that get one weight more each time, large ones several.

    The next weight is the one with the largest squared gradient divided by its
    curvature (as in orthogonal matching pursuit); then all of them are fitted.

    Args:
      rows: rows to fit.
      objective: the loss.
      max_outputs: number of outputs that may depend on inputs.
      decay: half of this times the squared weights, without the biases, is added to the
        loss; by default 1 / rows.

    Yields:
      Biases, in row 0, and weights, float64.

    Example:
      >>> x = np.random.default_rng(0).uniform(-1, 1, (100, 3))
      >>> rows = Problem(x, x[:, 1:2] + 1, np.ones(100))
      >>> next(select_forward(rows, "squared", 1))[:, 0].round(1).tolist()
      [1.0, 0.0, 1.0, 0.0]
    """
    x, y, weight = (np.asarray(leaf, np.float64) for leaf in rows)
    if not all(np.abs(leaf).max() < LARGEST for leaf in (x, y)):
        return  # the search refuses huge numbers
    rows = Problem(np.insert(x, 0, 1, axis=1), y, weight / weight.sum())
    weights = np.zeros((rows.x.shape[1], y.shape[1]))
    is_active = np.zeros(weights.shape, bool)
    is_active[0] = True
    decay = np.square(rows.weight).sum() if decay is None else decay
    weights = _fit(weights, is_active, rows, objective, decay)
    while not is_active.all():
        score = _score(weights, rows, objective)
        is_used = is_active[1:].any(axis=0)
        is_full = is_used.sum() >= max_outputs
        score[is_active | (is_full & ~is_used[None])] = 0
        num = max(1, is_active[1:].sum() // LARGE_STEP)
        best = np.argsort(-score, axis=None)[:num]
        best = best[score.ravel()[best] > TINY]  # false for NaN, too
        if not len(best):
            return
        is_active.flat[best] = True
        weights = _fit(weights, is_active, rows, objective, decay)
        yield weights


def noise_variance(rows: Problem) -> float:
    """Estimate the squared error of the best linear model on new rows.

    This is the smallest generalised cross-validation error, MSE / (1 - p / N)^2 with p
    numbers and N rows, of the models of `select_forward`.

    Args:
      rows: rows of a regression; outputs of unit variance.
    """
    rows = thin(rows, MAX_ROWS)
    weight = rows.weight / np.sum(rows.weight)
    num_rows, error = 1 / np.square(weight).sum(), 1.0
    for weights in select_forward(rows, "squared", rows.y.shape[1]):
        share = np.count_nonzero(weights) / num_rows
        if share > 0.5:
            break
        out = rows.x @ weights[1:] + weights[0]
        own = np.square(out - rows.y).mean(axis=1) @ weight
        error = min(error, own / (1 - share) ** 2)
    return float(error)


def to_network(weights: Float[np.ndarray, "J O"], limits: NetworkSpec) -> Network:
    """Return a linear model as a network: one neuron per output that has inputs.

    Without linear neurons, those of the first activation are used where they are nearly
    linear.

    Args:
      weights: biases, in row 0, and weights, of at most `limits.max_width` outputs.
      limits: size and activations of the network.
    """
    outputs = np.flatnonzero(weights[1:].any(axis=0))
    num, width, depth = len(outputs), limits.max_width, limits.max_depth
    name = "linear" if "linear" in limits.activations else limits.activations[0]
    scale, bias, slope, value = 1.0, 0.0, 1.0, 0.0
    if name != "linear":
        scale, bias = SMALL, 1.0
        value, more = RECORDS[name].numpy_fn(np.array([bias, bias + SMALL]))
        slope = more - value
    first = np.zeros((limits.num_inputs, width), np.float32)
    first[:, :num] = scale * weights[1:, outputs]
    readout = np.zeros((width, limits.num_outputs), np.float32)
    readout[np.arange(num), outputs] = 1 / slope
    mask = np.zeros((depth, width), np.float32)
    mask[0, :num] = 1
    activation = np.zeros((depth, width, len(limits.activations)), np.float32)
    activation[..., limits.activations.index(name)] = 1
    return Network(
        first=first,
        hidden=np.zeros((depth - 1, width, width), np.float32),
        readout=readout,
        bias=np.float32(bias * mask),
        readout_bias=np.float32(weights[0] - value * readout.sum(axis=0)),
        mask=mask,
        activation=activation,
        depth=np.int32(1),
    )


def _fit(
    weights: Float[np.ndarray, "J O"],
    is_active: Bool[np.ndarray, "J O"],
    rows: Problem,
    objective: Objective,
    decay: float,
) -> Float[np.ndarray, "J O"]:
    """Run Newton steps on the active weights."""
    sources, targets = np.nonzero(is_active)
    x, weights = rows.x[:, sources], weights.copy()
    factor = 2 / rows.y.shape[1] if objective == "squared" else 1.0
    penalty = decay * (sources > 0) + TINY
    for _ in range(1 if objective == "squared" else NUM_NEWTON):
        out = _predict(weights, rows, objective)
        gradient = x.T @ (rows.weight[:, None] * (out - rows.y))
        gradient = factor * gradient[np.arange(len(targets)), targets]
        gradient = gradient + penalty * weights[sources, targets]
        weighted = x * rows.weight[:, None]
        same = targets[:, None] == targets[None]
        if objective == "squared":
            hessian = factor * same * (weighted.T @ x)
        else:
            p = out[:, targets]
            hessian = same * ((weighted * p).T @ x) - (weighted * p).T @ (x * p)
        hessian = hessian + np.diag(penalty)
        try:
            weights[sources, targets] -= np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
    return weights


def _score(
    weights: Float[np.ndarray, "J O"], rows: Problem, objective: Objective
) -> Float[np.ndarray, "J O"]:
    """Return twice the decrease of the loss that each weight alone would bring."""
    out = _predict(weights, rows, objective)
    curvature = np.ones_like(out) if objective == "squared" else out * (1 - out)
    gradient = rows.x.T @ (rows.weight[:, None] * (out - rows.y))
    curvature = np.square(rows.x).T @ (rows.weight[:, None] * curvature)
    return np.square(gradient) / (curvature + TINY)


def _predict(
    weights: Float[np.ndarray, "J O"], rows: Problem, objective: Objective
) -> Float[np.ndarray, "N O"]:
    """Return numbers, or the probabilities of classes."""
    out = rows.x @ weights
    if objective == "squared":
        return out
    return expit(out) if objective == "logistic" else softmax(out, axis=1)


def count(weights: Float[np.ndarray, "J O"]) -> int:
    """Count the weights of a linear model as a network."""
    return int(np.count_nonzero(weights) + weights[1:].any(axis=0).sum())


SOURCE = Source(find_linear, is_timed=False, is_random=False)
