"""Where each number of a packed network comes from and leads to.

A network is a graph: node 0 is the constant 1, nodes 1..I are the inputs, then come
the L H hidden neurons layer by layer, then the O outputs. Each number of
`swajax.network.packing.pack` is an edge of it; biases start at node 0.
"""

import functools

import chex
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from swajax.types import Network


def endpoints(network: Network) -> tuple[Int[Array, " P"], Int[Array, " P"]]:
    """Source and target node of each number of `pack(network)`.

    The readout starts at the last layer in use, which `network.depth` tells.
    """
    num_inputs, width = network.first.shape
    num_layers, num_outputs = network.mask.shape[0], network.readout.shape[1]
    sizes = (num_inputs, width, num_layers, num_outputs)
    source, target, is_readout = (jnp.asarray(table) for table in _tables(*sizes))
    return source + is_readout * (network.depth - 1) * width, target


@functools.cache
def _tables(
    num_inputs: int, width: int, num_layers: int, num_outputs: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, as if the first layer were the last, targets, and what is a readout."""
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


def pack(network: Network) -> Float[Array, " P"]:
    """All weights and biases of one network as a vector (see `unpack`)."""
    return jnp.concatenate([leaf.ravel() for leaf in _numbers(network)])


def unpack(vector: Float[Array, " P"], network: Network) -> Network:
    """The network with its weights and biases replaced: `unpack(pack(n), n) == n`."""
    leaves = _numbers(network)
    chex.assert_shape(vector, (sum(leaf.size for leaf in leaves),))
    parts, start = [], 0
    for leaf in leaves:
        parts.append(vector[start : start + leaf.size].reshape(leaf.shape))
        start += leaf.size
    first, hidden, readout, bias, readout_bias = parts
    return network._replace(
        first=first,
        hidden=hidden,
        readout=readout,
        bias=bias,
        readout_bias=readout_bias,
    )


def _numbers(network: Network) -> tuple[Array, ...]:
    return (
        network.first,
        network.hidden,
        network.readout,
        network.bias,
        network.readout_bias,
    )
