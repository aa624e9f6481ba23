"""Conversion between networks and plain lists of weight matrices."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from swajax.io.memory import check_memory
from swajax.types import Network, NetworkSpec, check_activations, check_single


class Layers(NamedTuple):
    """A network of D hidden layers as lists, without padding."""

    weights: list[np.ndarray]
    """D + 1 matrices [fan_in, fan_out]; the last one is the readout"""
    biases: list[np.ndarray]
    """D + 1 vectors [fan_out]"""
    activations: list[str | tuple[str, ...]]
    """per hidden layer: one name, or one name per neuron where they differ"""


def from_layers(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    activations: Sequence[str | Sequence[str]],
) -> tuple[Network, NetworkSpec]:
    """Pad a multilayer perceptron, given as lists, into one `Network`.

    Args:
      weights: one matrix [fan_in, fan_out] per hidden layer, and the readout.
      biases: one vector [fan_out] per matrix.
      activations: one name per hidden layer, or one name per neuron of the layer.
        Outputs are linear.

    Returns:
      The network in float32, and the smallest specification that it fits into.
      Evaluate it with `apply(network, x, activations=spec.activations)`.

    Raises:
      ValueError: there is no hidden layer, shapes do not fit together, an activation is
        unknown, or a number is not finite; the message names the layer.

    Example:
      >>> from swajax.network import apply
      >>> weights = [[[1.0, -1.0]], [[2.0], [3.0]]]  # 1 input, 2 neurons, 1 output
      >>> network, spec = from_layers(weights, [[0.0, 0.0], [0.5]], ["leaky_relu"])
      >>> out = apply(network, jnp.array([[2.0]]), activations=spec.activations)
      >>> round(out.item(), 5)  # 2 * 2 - 0.1 * 3 * 2 + 0.5
      3.9
    """
    matrices, vectors, names = check_layers(weights, biases, activations)
    spec = NetworkSpec(
        num_inputs=len(matrices[0]),
        num_outputs=len(vectors[-1]),
        max_width=max(1, *map(len, names)),
        max_depth=len(names),
        activations=tuple(dict.fromkeys(itertools.chain(*names))) or ("linear",),
    )
    num_padded = (spec.num_inputs + spec.max_depth * spec.max_width) * spec.max_width
    check_memory(4 * num_padded, f"a padded network of {num_padded:,} weights")
    return _fill(spec, matrices, vectors, names), spec


def to_layers(network: Network, *, activations: tuple[str, ...]) -> Layers:
    """List the weights, biases and activations of one network, without padding.

    Absent neurons and unused layers are omitted; `from_layers(*to_layers(...))` is the
    same function. A hidden layer may have no neurons, with matrices of size 0.

    Args:
      network: one network, with hard masks (0 or 1) and one activation per neuron.
      activations: names of its A activations.

    Raises:
      ValueError: a mask is soft, a neuron mixes activations, or the number of names is
        not A.

    Example:
      >>> layers = [[[1.0, -1.0]], [[2.0], [3.0]]], [[0.0, 0.0], [0.5]], ["tanh"]
      >>> network, spec = from_layers(*layers)
      >>> to_layers(network, activations=spec.activations).weights[1].tolist()
      [[2.0], [3.0]]
    """
    check_single(network)
    network = Network(*map(np.asarray, network))
    _check_hard(network, activations)
    kept = [np.flatnonzero(mask) for mask in network.mask[: network.depth]]
    inner = zip(network.hidden, kept[:-1], kept[1:], strict=False)
    kinds = network.activation.argmax(axis=-1)
    names = [
        tuple(activations[kind] for kind in kinds[layer, index])
        for layer, index in enumerate(kept)
    ]
    return Layers(
        weights=[
            network.first[:, kept[0]],
            *(matrix[np.ix_(above, below)] for matrix, above, below in inner),
            network.readout[kept[-1]],
        ],
        biases=[
            *(bias[index] for bias, index in zip(network.bias, kept, strict=False)),
            network.readout_bias,
        ],
        activations=[layer[0] if len(set(layer)) == 1 else layer for layer in names],
    )


def check_layers(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    activations: Sequence[str | Sequence[str]],
) -> tuple[list[np.ndarray], list[np.ndarray], list[tuple[str, ...]]]:
    """Return matrices and vectors in float32 and one name per neuron of each layer.

    Raises:
      ValueError: as in `from_layers`.
    """
    matrices = [np.asarray(matrix, np.float32) for matrix in weights]
    vectors = [np.asarray(vector, np.float32) for vector in biases]
    _check_shapes(matrices, vectors, len(activations))
    names = [
        _names_of_layer(layer, entry, len(vector))
        for layer, (entry, vector) in enumerate(zip(activations, vectors, strict=False))
    ]
    return matrices, vectors, names


def _check_shapes(
    weights: list[np.ndarray], biases: list[np.ndarray], num_hidden: int
) -> None:
    if num_hidden < 1 or not len(weights) == len(biases) == num_hidden + 1:
        raise ValueError(
            "D >= 1 hidden layers need D activations, D + 1 matrices and D + 1 biases, "
            f"got {num_hidden}, {len(weights)} and {len(biases)}"
        )
    fan_in = None
    for layer, (matrix, vector) in enumerate(zip(weights, biases, strict=True)):
        if matrix.ndim != 2 or fan_in not in (None, len(matrix)):
            rows = "fan_in" if fan_in is None else fan_in
            raise ValueError(
                f"weights[{layer}] must have the shape [{rows}, fan_out], "
                f"got {matrix.shape}"
            )
        fan_in = matrix.shape[1]
        if vector.shape != (fan_in,):
            raise ValueError(
                f"biases[{layer}] must have the shape [{fan_in}], got {vector.shape}"
            )
        for name, values in (("weights", matrix), ("biases", vector)):
            if not np.isfinite(values).all():
                raise ValueError(f"{name}[{layer}] holds NaN or inf in float32")


def _names_of_layer(
    layer: int, entry: str | Sequence[str], width: int
) -> tuple[str, ...]:
    names = (entry,) * width if isinstance(entry, str) else tuple(entry)
    if len(names) != width:
        raise ValueError(
            f"activations[{layer}] must be one name or {width}, got {len(names)}"
        )
    try:
        check_activations(names or ("linear",))  # a layer may have no neurons
    except ValueError as error:
        raise ValueError(f"activations[{layer}]: {error}") from error
    return names


def _fill(
    spec: NetworkSpec,
    weights: list[np.ndarray],
    biases: list[np.ndarray],
    names: list[tuple[str, ...]],
) -> Network:
    num_layers, width = spec.max_depth, spec.max_width
    first = np.zeros((spec.num_inputs, width), np.float32)
    hidden = np.zeros((num_layers - 1, width, width), np.float32)
    readout = np.zeros((width, spec.num_outputs), np.float32)
    bias, mask = (np.zeros((num_layers, width), np.float32) for _ in range(2))
    activation = np.zeros((num_layers, width, len(spec.activations)), np.float32)
    activation[..., 0] = 1.0
    first[:, : len(names[0])] = weights[0]
    for matrix, weight in zip(hidden, weights[1:-1], strict=True):
        matrix[: weight.shape[0], : weight.shape[1]] = weight
    readout[: len(names[-1])] = weights[-1]
    eye = np.eye(len(spec.activations))
    for layer, kinds in enumerate(names):
        bias[layer, : len(kinds)], mask[layer, : len(kinds)] = biases[layer], 1.0
        activation[layer, : len(kinds)] = eye[[*map(spec.activations.index, kinds)]]
    leaves = (first, hidden, readout, bias, biases[-1], mask, activation)
    return Network(*map(jnp.asarray, leaves), jnp.asarray(num_layers, jnp.int32))


def _check_hard(network: Network, activations: tuple[str, ...]) -> None:
    check_activations(activations)
    if network.activation.shape[-1] != len(activations):
        raise ValueError(
            f"the network has {network.activation.shape[-1]} activations, got "
            f"{len(activations)} names: {activations!r}"
        )
    is_present = network.mask == 1
    mixture = network.activation[is_present]
    is_one_hot = ((mixture == 0) | (mixture == 1)).all() and (
        mixture.sum(-1) == 1
    ).all()
    if not (is_present | (network.mask == 0)).all() or not is_one_hot:
        raise ValueError(
            "masks must be 0 or 1 and neurons have one activation each: layers have "
            "no soft masks and no mixtures"
        )
