"""A network as a graph of named values with their non-zero terms, for exports.

Values are named x1, x2, ... for the inputs that a neuron reads, h1, h2, ... for the
neurons, and y1, y2, ... for the outputs.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from swajax.data.encoding import Column
from swajax.model.fitted import Model


class Input(NamedTuple):
    """One input of the network: a scaled number, or a value per category."""

    name: str
    row: int  # row in `Network.first`
    column: Column
    values: tuple[float, ...]  # per category, 0 for all other cells; () for a number


class Neuron(NamedTuple):
    """One neuron, activation(bias + sum of weight * value); outputs are linear."""

    name: str
    activation: str
    bias: float
    terms: tuple[tuple[str, float], ...]  # (name of a value, weight)


class Graph(NamedTuple):
    """All inputs, neurons and outputs of a model, in the order of computation."""

    inputs: tuple[Input, ...]
    layers: tuple[tuple[Neuron, ...], ...]
    outputs: tuple[Neuron, ...]

    @property
    def neurons(self) -> tuple[Neuron, ...]:
        """Neurons of all layers, in the order of computation."""
        return tuple(neuron for layer in self.layers for neuron in layer)

    @property
    def numbers(self) -> tuple[Column, ...]:
        """Numeric columns that the network reads."""
        return tuple(i.column for i in self.inputs if i.column.kind == "numeric")

    @property
    def categories(self) -> tuple[Column, ...]:
        """Text columns that the network reads."""
        columns = [i.column for i in self.inputs if i.column.kind == "category"]
        return tuple(dict.fromkeys(columns))


def make_graph(model: Model) -> Graph:
    """Return the graph of a model, without zero weights and absent neurons."""
    network = model.network
    is_read = (network.first[:, network.mask[0] > 0] != 0).any(axis=1)
    inputs = _find_inputs(model, is_read)
    names = {item.row: item.name for item in inputs}
    layers, count = [], 0
    for layer in range(network.depth):
        neurons = _make_neurons(model, layer, names, count)
        names = {index: neuron.name for index, neuron in neurons.items()}
        layers.append(tuple(neurons.values()))
        count += len(neurons)
    biases = zip(network.readout_bias.tolist(), network.readout.T, strict=True)
    outputs = tuple(
        Neuron(f"y{number}", "linear", bias, _terms(weights, names))
        for number, (bias, weights) in enumerate(biases, 1)
    )
    return Graph(inputs, tuple(layers), outputs)


class Scale(NamedTuple):
    """A scaling `(cell - center) * scale + rest` that is exact for float32 cells."""

    center: float
    scale: float
    rest: float  # correction for the rounding of the center to float32; 0 if negligible


def to_scale(column: Column) -> Scale:
    """Return the scaling of a numeric column, for arithmetic in float32."""
    center = float(np.float32(-column.offset / column.scale))
    rest = center * column.scale + column.offset
    return Scale(center, column.scale, rest if abs(rest) > 3e-7 else 0.0)


def format_sum(neuron: Neuron, number_fn: Callable[[float], str]) -> str:
    """Return the text `bias + weight * value - ...`.

    Args:
      neuron: the terms and the bias; a bias of 0 is left out if there are terms.
      number_fn: formats a number.
    """
    text = number_fn(neuron.bias) if neuron.bias or not neuron.terms else ""
    for value, weight in neuron.terms:
        if text:
            sign = "-" if weight < 0 else "+"
            text += f" {sign} {number_fn(abs(weight))} * {value}"
        else:
            text = f"{number_fn(weight)} * {value}"
    return text


def _find_inputs(model: Model, is_read: Bool[np.ndarray, " I"]) -> tuple[Input, ...]:
    """Return the inputs that the network reads, in encoder order."""
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
    """Return the values per category of each input of a column.

    See `swajax.data.encoding`.
    """
    if column.kind == "numeric":
        return [()]
    num = len(column.categories)
    if num == 2:
        return [(-1.0, 1.0)]
    return [tuple(row) for row in np.eye(num).tolist()]


def _make_neurons(
    model: Model, layer: int, names: dict[int, str], count: int
) -> dict[int, Neuron]:
    """Return the neurons of a layer, by their index in the padded layer.

    Args:
      model: the network.
      layer: index of the layer.
      names: names of the values of the preceding layer, by index.
      count: number of neurons in the preceding layers.
    """
    network = model.network
    weights = network.first if layer == 0 else network.hidden[layer - 1]
    kinds = network.activation[layer].argmax(axis=-1).tolist()
    present = np.flatnonzero(network.mask[layer]).tolist()
    return {
        index: Neuron(
            name=f"h{number}",
            activation=model.activations[kinds[index]],
            bias=float(network.bias[layer, index]),
            terms=_terms(weights[:, index], names),
        )
        for number, index in enumerate(present, count + 1)
    }


def _terms(weights: np.ndarray, names: dict[int, str]) -> tuple[tuple[str, float], ...]:
    """Return the non-zero weights of a neuron, with the names of their values."""
    return tuple((names[i], float(weights[i])) for i in names if weights[i] != 0)
