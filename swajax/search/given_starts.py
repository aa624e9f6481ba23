"""Starts that a caller gives: networks of any size, walked down to small ones."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from swajax.data.problem import Problem, thin
from swajax.io import interrupts
from swajax.network import (
    from_layers,
    from_network,
    from_sklearn,
    make_layered,
    resize,
)
from swajax.network.layered import LayeredNetwork
from swajax.network.layers import Layers
from swajax.objectives import Objective, losses
from swajax.refine.quadratic import Fit
from swajax.refine.walk_down import Goal, walk_down
from swajax.search import stages
from swajax.search.config import SearchConfig
from swajax.search.folds import choose_unit
from swajax.search.job import STAGE_ROWS
from swajax.types import Network, NetworkSpec

Given = Any  # what `to_layered` takes, or a list of it
SMALLEST_SHARE = 0.25  # size of the smallest network of a walk, relative to the front
SIMILAR = {  # activations of a start that a search does not allow
    "relu": ("leaky_relu", "gelu"),
    "leaky_relu": ("relu", "gelu"),
    "gelu": ("relu", "leaky_relu"),
    "sigmoid": ("tanh",),
    "tanh": ("sigmoid",),
    "sin": ("tanh", "sigmoid"),
}


def read_given(
    given: Given, train: Problem, objective: Objective
) -> list[LayeredNetwork]:
    """Return networks whose outputs are those of the objective.

    Args:
      given: anything that `to_layered` takes, or a list of it.
      train: rows that they will be fitted to.
      objective: loss of a row.

    Raises:
      ValueError: a network reads or predicts other numbers than the rows have.
    """
    every = given if isinstance(given, list) else [given]
    networks = [to_layered(one) for one in every]
    if not networks:
        raise ValueError("starts must be at least one network")
    wanted = train.x.shape[1], train.y.shape[1]
    return [adapt(network, *wanted, objective) for network in networks]


def walk_starts(
    networks: list[LayeredNetwork],
    train: Problem,
    objective: Objective,
    config: SearchConfig,
    seconds_left: Callable[[], float],
) -> Network | None:
    """Return networks within the limits of a search, leaves [R, ...].

    Small networks are returned as they are, larger ones are walked down; None if none
    of them gets small.

    Args:
      networks: from `read_given`.
      train: rows to fit.
      objective: loss of a row.
      config: limits.
      seconds_left: returns the time that is left for the walks.
    """
    decay = config.weight_decay
    if decay is None:
        decay = choose_unit(train, objective)
    rows = thin(train, STAGE_ROWS)
    rows = rows._replace(weight=rows.weight / rows.weight.sum())
    largest = stages.largest_size(config)
    smallest = max(3, round(SMALLEST_SHARE * config.max_weights))
    goal = Goal(largest, smallest, config.max_width, config.max_depth)
    found = []
    for network in networks:
        allowed = _replace_activations(network, config.activations)
        start = match_outputs(allowed, rows, objective)
        if _is_within(start, goal):
            found.append(start)
            continue
        for stop in walk_down(
            start,
            rows,
            fit=Fit(objective, weight_decay=decay),
            goal=goal,
            seconds_left=seconds_left,
        ):
            found.append(stop.network)
            if interrupts.should_end(has_results=True):
                break
    limits = config.make_spec(train.x.shape[1], train.y.shape[1])
    return _stack(found, limits) if found else None


def _is_pair(given: Given) -> bool:
    return (
        isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], Network)
    )


def to_layered(given: Any) -> LayeredNetwork:
    """Return any kind of network as a checked `LayeredNetwork`.

    Args:
      given: what `make_layered`, `from_layers`, `to_layers`, `from_sklearn` or
        `from_onnx` return; or a fitted model that `from_sklearn` reads, or an estimator
        of this package.

    Raises:
      ValueError: it is no network, or holds NaN.
    """
    if isinstance(given, LayeredNetwork):
        return make_layered(given.weights, given.biases, given.activations, given.link)
    if isinstance(given, Layers):
        return make_layered(*given)
    if _is_pair(given):
        return from_network(given[0], given[1].activations)
    if hasattr(given, "to_model"):
        return _from_estimator(given)
    return from_sklearn(given)


def _from_estimator(estimator: Any) -> LayeredNetwork:
    """Return the network of an estimator of this package, for inputs in their units."""
    model = estimator.to_model()
    network = from_network(model.network, model.activations)
    columns = model.scaling.encoder.columns
    scale, offset = np.array([(one.scale, one.offset) for one in columns]).T
    first = np.asarray(network.weights[0], np.float64)
    bias = np.float32(network.biases[0] + offset @ first)
    return dataclasses.replace(
        network,
        weights=(np.float32(scale[:, None] * first), *network.weights[1:]),
        biases=(bias, *network.biases[1:]),
    )


def adapt(
    network: LayeredNetwork, num_inputs: int, num_outputs: int, objective: Objective
) -> LayeredNetwork:
    """Return a network with the outputs of an objective."""
    if network.num_inputs != num_inputs:
        raise ValueError(
            f"the network reads {network.num_inputs} inputs, the rows have {num_inputs}"
        )
    if objective == "squared" and network.link == "sigmoid":
        eye = np.eye(network.num_outputs, dtype=np.float32)
        network = LayeredNetwork(
            (*network.weights, eye),
            (*network.biases, np.zeros(len(eye), np.float32)),
            (*network.activations, "sigmoid"),
        )
    elif objective == "logistic" and network.num_outputs == 2:
        readout, bias = network.weights[-1], network.biases[-1]
        network = dataclasses.replace(
            network,
            weights=(*network.weights[:-1], readout[:, 1:] - readout[:, :1]),
            biases=(*network.biases[:-1], bias[1:] - bias[:1]),
        )
    if network.num_outputs != num_outputs or (
        objective == "squared" and network.link == "softmax"
    ):
        raise ValueError(
            f"the network has {network.num_outputs} outputs ({network.link}), the "
            f"target needs {num_outputs} ({objective})"
        )
    return network


def _replace_activations(
    network: LayeredNetwork, allowed: tuple[str, ...]
) -> LayeredNetwork:
    def replace(name: str) -> str:
        known = [name, *SIMILAR.get(name, ()), *allowed]
        return next(one for one in known if one in allowed)

    entries = tuple(
        replace(own) if isinstance(own, str) else tuple(map(replace, own))
        for own in network.activations
    )
    return dataclasses.replace(network, activations=entries)


def _is_within(network: LayeredNetwork, goal: Goal) -> bool:
    widths = [len(bias) for bias in network.biases[:-1]]
    return (
        network.count_weights() <= goal.largest
        and max(widths) <= goal.max_width
        and len(widths) <= goal.max_depth
    )


def match_outputs(
    network: LayeredNetwork, rows: Problem, objective: Objective
) -> LayeredNetwork:
    """Scale numbers to the targets by least squares: their units may differ.

    The weights of the rows must sum to 1.
    """
    if objective != "squared":
        return network
    out = np.asarray(network.apply(np.float32(rows.x)), np.float64)
    gap, mean = rows.weight @ out, rows.weight @ rows.y
    spread = rows.weight @ np.square(out - gap)
    scale = rows.weight @ ((out - gap) * (rows.y - mean)) / np.maximum(spread, 1e-30)
    scale = np.where(scale == 0, 1.0, scale)  # weights of 0 would be absent
    weights = (*network.weights[:-1], np.float32(network.weights[-1] * scale))
    bias = np.float32((network.biases[-1] - gap) * scale + mean)
    return dataclasses.replace(
        network, weights=weights, biases=(*network.biases[:-1], bias)
    )


def mean_loss(network: LayeredNetwork, rows: Problem, objective: Objective) -> float:
    """Return the mean loss of a network; infinite where it overflows."""
    out = network.apply(np.float32(rows.x)).T
    y = jnp.asarray(rows.y, out.dtype).T
    each = losses(out, y, objective=objective)
    loss = float(np.asarray(each, np.float64) @ rows.weight)
    return loss if np.isfinite(loss) else np.inf


def _stack(networks: list[LayeredNetwork], limits: NetworkSpec) -> Network:
    """Pad networks to the limits of a search."""

    def padded() -> Iterator[Network]:
        for network in networks:
            layers = network.weights, network.biases, network.activations
            own, spec = from_layers(*layers)
            batch = jax.tree.map(lambda leaf: np.asarray(leaf)[None], own)
            yield jax.device_get(resize.fit_into(batch, spec, limits))

    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *padded())
