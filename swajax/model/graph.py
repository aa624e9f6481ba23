"""A network as the terms that are really there, to be written out one by one.

Values have names: x1, x2, ... are inputs that some neuron reads, h1, h2, ... neurons,
y1, y2, ... outputs.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from swajax.data.encoding import Column
from swajax.model.fitted import Model


class Input(NamedTuple):
    """One input of the network: a scaled number, or a value for each category."""

    name: str
    row: int  # of `Network.first`
    column: Column
    values: tuple[float, ...]  # by category, 0 for any other cell; () of a number


class Neuron(NamedTuple):
    """activation(bias + sum of weight * value); outputs are linear."""

    name: str
    activation: str
    bias: float
    terms: tuple[tuple[str, float], ...]  # name of a value, weight


class Graph(NamedTuple):
    """All that a model computes, in order."""

    inputs: tuple[Input, ...]
    layers: tuple[tuple[Neuron, ...], ...]
    outputs: tuple[Neuron, ...]

    @property
    def neurons(self) -> tuple[Neuron, ...]:
        """Those of all layers, in an order in which they can be computed."""
        return tuple(neuron for layer in self.layers for neuron in layer)

    @property
    def numbers(self) -> tuple[Column, ...]:
        """Numeric columns that are read."""
        return tuple(i.column for i in self.inputs if i.column.kind == "numeric")

    @property
    def categories(self) -> tuple[Column, ...]:
        """Text columns that are read."""
        columns = [i.column for i in self.inputs if i.column.kind == "category"]
        return tuple(dict.fromkeys(columns))


def make_graph(model: Model) -> Graph:
    """The neurons, inputs and terms of a model; what is zero or absent is left out."""
    network = model.network
    is_read = (network.first[:, network.mask[0] > 0] != 0).any(axis=1)
    inputs = _find_inputs(model, is_read)
    names = {item.row: item.name for item in inputs}
    layers, count = [], 0
    for layer in range(network.depth):
        neurons = _make_neurons(model, layer, names, count)
        names = {place: neuron.name for place, neuron in neurons.items()}
        layers.append(tuple(neurons.values()))
        count += len(neurons)
    biases = zip(network.readout_bias.tolist(), network.readout.T, strict=True)
    outputs = tuple(
        Neuron(f"y{number}", "linear", bias, _terms(weights, names))
        for number, (bias, weights) in enumerate(biases, 1)
    )
    return Graph(inputs, tuple(layers), outputs)


class Scale(NamedTuple):
    """`(cell - center) * scale + rest`, so that a float32 cell loses no digits."""

    center: float
    scale: float
    rest: float  # what rounding the center to float32 leaves, if that matters


def to_scale(column: Column) -> Scale:
    """The scaling of a numeric column, for arithmetic in float32."""
    center = float(np.float32(-column.offset / column.scale))
    rest = center * column.scale + column.offset
    return Scale(center, column.scale, rest if abs(rest) > 3e-7 else 0.0)


def format_sum(neuron: Neuron, number_fn: Callable[[float], str]) -> str:
    """`bias + weight * value - ...`, numbers as `number_fn` writes them."""
    text = number_fn(neuron.bias) if neuron.bias or not neuron.terms else ""
    for value, weight in neuron.terms:
        if text:
            sign = "-" if weight < 0 else "+"
            text += f" {sign} {number_fn(abs(weight))} * {value}"
        else:
            text = f"{number_fn(weight)} * {value}"
    return text


def _find_inputs(model: Model, is_read: Bool[np.ndarray, " I"]) -> tuple[Input, ...]:
    """The inputs that are read, in the order of the encoder."""
    found = [
        (column, values)
        for column in model.scaling.encoder.columns
        for values in _values(column)
    ]
    return tuple(
        Input(f"x{number}", int(row), *found[row])
        for number, row in enumerate(np.flatnonzero(is_read), 1)
    )


def _values(column: Column) -> list[tuple[float, ...]]:
    """Of each input of a column, its value by category (see `swajax.data.encoding`)."""
    if column.kind == "numeric":
        return [()]
    num = len(column.categories)
    if num == 2:
        return [(-1.0, 1.0)]
    return [tuple(row) for row in np.eye(num).tolist()]


def _make_neurons(
    model: Model, layer: int, names: dict[int, str], count: int
) -> dict[int, Neuron]:
    """The neurons of a layer by their places; `names` are of the values before it."""
    network = model.network
    weights = network.first if layer == 0 else network.hidden[layer - 1]
    kinds = network.activation[layer].argmax(axis=-1).tolist()
    places = np.flatnonzero(network.mask[layer]).tolist()
    return {
        place: Neuron(
            name=f"h{number}",
            activation=model.activations[kinds[place]],
            bias=float(network.bias[layer, place]),
            terms=_terms(weights[:, place], names),
        )
        for number, place in enumerate(places, count + 1)
    }


def _terms(weights: np.ndarray, names: dict[int, str]) -> tuple[tuple[str, float], ...]:
    return tuple((names[i], float(weights[i])) for i in names if weights[i] != 0)
