"""Starts that a caller gives: networks of any size, walked down to small ones."""

import dataclasses
from collections.abc import Callable, Iterator

import jax
import numpy as np

from swajax.data.problem import Problem, thin
from swajax.io import interrupts
from swajax.network import from_layers, from_network, make_layered, resize
from swajax.network.layered import LayeredNetwork
from swajax.network.layers import Layers
from swajax.objectives import Objective
from swajax.refine.quadratic import Fit
from swajax.refine.walk_down import Goal, walk_down
from swajax.search import stages
from swajax.search.config import SearchConfig
from swajax.search.folds import choose_unit
from swajax.search.job import STAGE_ROWS
from swajax.types import Network, NetworkSpec

# One network, or several; a pair is what `from_layers` returns.
Given = LayeredNetwork | Layers | tuple[Network, NetworkSpec] | list
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
      given: one network or several: of `from_layers`, `make_layered`, `from_sklearn`
        or `from_onnx`.
      train: rows that they will be fitted to.
      objective: loss of a row.

    Raises:
      ValueError: a network reads or predicts other numbers than the rows have.
    """
    is_one = isinstance(given, LayeredNetwork | Layers) or _is_pair(given)
    networks = [_to_layered(one) for one in ([given] if is_one else given)]
    if not networks:
        raise ValueError("starts must be at least one network")
    wanted = train.x.shape[1], train.y.shape[1]
    return [_adapt(network, *wanted, objective) for network in networks]


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
        if _is_within(allowed, goal):
            found.append(allowed)
            continue
        matched = _match_outputs(allowed, rows) if objective == "squared" else allowed
        for stop in walk_down(
            matched,
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


def _to_layered(one: LayeredNetwork | Layers | tuple) -> LayeredNetwork:
    if isinstance(one, LayeredNetwork):
        return make_layered(one.weights, one.biases, one.activations, one.link)
    if isinstance(one, Layers):
        return make_layered(*one)
    if _is_pair(one):
        return from_network(one[0], one[1].activations)
    raise ValueError(f"a start must be a network, got {type(one).__name__}")


def _adapt(
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


def _match_outputs(network: LayeredNetwork, rows: Problem) -> LayeredNetwork:
    """Scale the outputs to the targets by least squares: their units may differ."""
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


def _stack(networks: list[LayeredNetwork], limits: NetworkSpec) -> Network:
    """Pad networks to the limits of a search."""

    def padded() -> Iterator[Network]:
        for network in networks:
            layers = network.weights, network.biases, network.activations
            own, spec = from_layers(*layers)
            batch = jax.tree.map(lambda leaf: np.asarray(leaf)[None], own)
            yield jax.device_get(resize.fit_into(batch, spec, limits))

    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *padded())
