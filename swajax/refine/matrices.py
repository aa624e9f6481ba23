"""Layers of a large network as matrices that lose rows and columns; host code."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from swajax.network.activations import RECORDS
from swajax.network.layered import LayeredNetwork, Link, make_layered

TINY = 1e-12  # variances below count as zero


class Stack(NamedTuple):
    """A network of D hidden layers on the way down."""

    matrices: tuple[Float[np.ndarray, "_ _"], ...]
    """D + 1 matrices [1 + fan_in, fan_out], the bias in row 0; 0: no weight"""
    names: tuple[tuple[str, ...], ...]
    """activation of each neuron of each hidden layer"""
    inputs: Int[np.ndarray, " I"]
    """columns of the rows that the first layer reads"""

    @property
    def widths(self) -> list[int]:
        """Numbers of neurons of the hidden layers."""
        return [len(layer) for layer in self.names]

    @property
    def short_names(self) -> tuple[str | tuple[str, ...], ...]:
        """One name per layer, where its neurons agree."""
        pairs = ((set(layer), layer) for layer in self.names)
        return tuple(layer[0] if len(kinds) == 1 else layer for kinds, layer in pairs)


def to_stack(network: LayeredNetwork) -> Stack:
    """Return the matrices of a network, biases included."""
    pairs = zip(network.biases, network.weights, strict=True)
    matrices = tuple(np.concatenate([b[None], w]).astype(np.float32) for b, w in pairs)
    names = tuple(
        (own,) * matrix.shape[1] if isinstance(own, str) else own
        for own, matrix in zip(network.activations, matrices, strict=False)
    )
    return Stack(matrices, names, np.arange(network.num_inputs))


def to_layered(stack: Stack, num_inputs: int, link: Link = "linear") -> LayeredNetwork:
    """Return the network, which reads all inputs again."""
    first = np.zeros((num_inputs, stack.matrices[0].shape[1]), np.float32)
    first[stack.inputs] = stack.matrices[0][1:]
    weights = [first, *(matrix[1:] for matrix in stack.matrices[1:])]
    biases = [matrix[0] for matrix in stack.matrices]
    return make_layered(weights, biases, stack.short_names, link)


def count(stack: Stack) -> int:
    """Count the non-zero weights and biases."""
    return int(sum(map(np.count_nonzero, stack.matrices)))


def simplify(stack: Stack) -> Stack:
    """Fold neurons that read nothing into biases; remove weights that nothing reads."""
    matrices = [matrix.copy() for matrix in stack.matrices]
    for matrix, above, names in zip(matrices, matrices[1:], stack.names, strict=False):
        for neuron in np.flatnonzero(~matrix[1:].any(axis=0) & above[1:].any(axis=1)):
            value = RECORDS[names[neuron]].numpy_fn(matrix[:1, neuron])
            above[0] += value * above[1 + neuron]
            above[1 + neuron] = 0
    for matrix, above in zip(matrices[-2::-1], matrices[:0:-1], strict=True):
        matrix[:, ~above[1:].any(axis=1)] = 0
    return stack._replace(matrices=tuple(matrices))


def compact(stack: Stack, share: float = 1.0) -> Stack:
    """Drop absent neurons and unread inputs, if at most this share of them is left."""
    is_read = [matrix[1:].any(axis=1) for matrix in stack.matrices]
    if np.concatenate(is_read).mean() > share:
        return stack
    kept = [np.flatnonzero(own) for own in is_read]
    rows = [np.append(0, 1 + own) for own in kept]
    columns = [*kept[1:], np.arange(stack.matrices[-1].shape[1])]
    parts = zip(stack.matrices, rows, columns, strict=True)
    return Stack(
        tuple(matrix[np.ix_(row, column)] for matrix, row, column in parts),
        tuple(
            tuple(layer[neuron] for neuron in own)
            for layer, own in zip(stack.names, kept[1:], strict=True)
        ),
        stack.inputs[kept[0]],
    )


def make_linear(stack: Stack, x: Float[np.ndarray, "N I"], layer: int) -> Stack:
    """Replace the neurons of a layer by lines, and leave the layer out."""
    for matrix, names in zip(stack.matrices[:layer], stack.names, strict=False):
        x = _activate(x @ matrix[1:] + matrix[0], names)
    before, after = stack.matrices[layer : layer + 2]
    pre = x @ before[1:] + before[0]
    out = _activate(pre, stack.names[layer])
    centred = pre - pre.mean(axis=0)
    slope = (centred * out).sum(axis=0) / (np.square(centred).sum(axis=0) + TINY)
    offset = out.mean(axis=0) - slope * pre.mean(axis=0)
    merged = (before * slope) @ after[1:]
    merged[0] += after[0] + offset @ after[1:]
    matrices, names = stack.matrices, stack.names
    return stack._replace(
        matrices=(*matrices[:layer], merged, *matrices[layer + 2 :]),
        names=(*names[:layer], *names[layer + 1 :]),
    )


def _activate(
    pre: Float[np.ndarray, "N J"], names: tuple[str, ...]
) -> Float[np.ndarray, "N J"]:
    out = pre.copy()
    for name in set(names):
        own = [place for place, kind in enumerate(names) if kind == name]
        out[:, own] = RECORDS[name].numpy_fn(pre[:, own])
    return out
