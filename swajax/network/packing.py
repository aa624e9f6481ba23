"""A network as a vector of P numbers, the edges of a graph.

A network is a graph: node 0 is the constant 1, nodes 1..I are the inputs, then come
the L H hidden neurons layer by layer, then the O outputs. Each number of `pack` is an
edge of it; biases start at node 0.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from swajax.types import Network, check_single


def pack(network: Network) -> Float[Array, " P"]:
    """Concatenate all weights and biases of one network.

    Returns:
      P = I H + (L-1) H^2 + H O + L H + O numbers, absent ones included, in the order
      of the fields of `Network`.

    Example:
      >>> from swajax.network import make_dense
      >>> from swajax.types import NetworkSpec
      >>> network = make_dense(NetworkSpec(num_inputs=2, max_width=3, max_depth=1))
      >>> pack(network).shape
      (13,)
    """
    check_single(network)
    return jnp.concatenate([leaf.ravel() for leaf in _numbers(network)])


def unpack(vector: Float[Array, " P"], network: Network) -> Network:
    """Replace all weights and biases of a network: `unpack(pack(n), n) == n`.

    Args:
      vector: numbers in the order of `pack`.
      network: source of the shapes, the masks, the activations and the depth.

    Raises:
      ValueError: the vector has another length than `pack(network)`.
    """
    check_single(network)
    leaves = _numbers(network)
    ends = np.cumsum([leaf.size for leaf in leaves]).tolist()
    if vector.shape != (ends[-1],):
        raise ValueError(f"vector must have {ends[-1]} numbers, got {vector.shape}")
    parts = (
        vector[end - leaf.size : end] for leaf, end in zip(leaves, ends, strict=True)
    )
    shaped = (
        part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)
    )
    first, hidden, readout, bias, readout_bias = shaped
    return network._replace(
        first=first,
        hidden=hidden,
        readout=readout,
        bias=bias,
        readout_bias=readout_bias,
    )


def endpoints(network: Network) -> tuple[Int[Array, " P"], Int[Array, " P"]]:
    """Return the source and the target node of each number of `pack(network)`.

    The edges of the readout start at the last layer in use, `network.depth - 1`.

    Returns:
      sources, targets: node numbers, as defined in the module docstring.
    """
    check_single(network)
    num_inputs, width = network.first.shape
    num_layers, num_outputs = network.mask.shape[0], network.readout.shape[1]
    sizes = (num_inputs, width, num_layers, num_outputs)
    source, target, is_readout = (jnp.asarray(table) for table in _tables(*sizes))
    return source + is_readout * (network.depth - 1) * width, target


@functools.cache
def _tables(
    num_inputs: int, width: int, num_layers: int, num_outputs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List sources (for a readout from layer 0), targets, and flags of the readout."""
    hidden = 1 + num_inputs + np.arange(num_layers * width).reshape(num_layers, width)
    output = 1 + num_inputs + num_layers * width + np.arange(num_outputs)
    pairs = [
        _grid(1 + np.arange(num_inputs), hidden[0]),
        *(_grid(hidden[layer], hidden[layer + 1]) for layer in range(num_layers - 1)),
        _grid(hidden[0], output),
        _grid(np.zeros(1, int), hidden.ravel()),
        _grid(np.zeros(1, int), output),
    ]
    source, target = (np.concatenate(nodes) for nodes in zip(*pairs, strict=True))
    is_readout = (target >= output[0]) & (source > 0)
    return tuple(table.astype(np.int32) for table in (source, target, is_readout))


def _grid(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(source, len(target)), np.tile(target, len(source))


def _numbers(network: Network) -> tuple[Array, ...]:
    return (
        network.first,
        network.hidden,
        network.readout,
        network.bias,
        network.readout_bias,
    )
