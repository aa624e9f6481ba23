"""The flattened form of a network without biases (arXiv:2410.08339)."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax.io.configs import check_range
from swajax.network import mask_weights, uniform_activation
from swajax.types import Network, NetworkSpec


def to_matrix(network: Network, *, depth: int) -> Float[Array, "H C"]:
    """Return the flattened form of a network, with C = H d + 1 + d columns.

    The columns are, from left to right, d blocks of weights [fan in, fan out] with the
    inputs in the middle rows of the first, the readout column, and d columns of neuron
    masks (arXiv:2410.08339, multi-scale representation).

    Args:
      network: one network with one output, without biases.
      depth: its number of hidden layers d.

    Raises:
      ValueError: the network has biases, another depth or several outputs. Traced
        values (under `jit` or `vmap`) are not checked; biases and layers beyond `depth`
        are then dropped.

    Example:
      >>> spec = NetworkSpec(max_width=3, max_depth=1)
      >>> network = from_matrix(jnp.ones((3, 5)), depth=1, spec=spec)
      >>> to_matrix(network, depth=1).shape
      (3, 5)
    """
    check_no_biases(network)
    if _is_concrete(network) and int(network.depth) != depth:
        raise ValueError(f"depth must be {int(network.depth)}, got {depth}")
    if network.readout.shape[1] != 1:
        raise ValueError(
            f"the network must have one output, got {network.readout.shape[1]}"
        )
    return flatten(network, depth=depth)


def flatten(network: Network, *, depth: int) -> Float[Array, "H C"]:
    """Return the form of `to_matrix` without checks."""
    clean = mask_weights(network)
    width = network.mask.shape[-1]
    num_inputs, num_outputs = network.first.shape[0], network.readout.shape[1]
    chex.assert_equal(num_outputs, 1)
    above = (width - num_inputs) // 2
    first = jnp.pad(clean.first, ((above, width - num_inputs - above), (0, 0)))
    blocks = [first, *clean.hidden[: depth - 1], clean.readout, clean.mask[:depth].T]
    return jnp.concatenate(blocks, axis=1)


def from_matrix(
    matrix: Float[Array, "H C"], *, depth: int, spec: NetworkSpec
) -> Network:
    """Return the network of a flattened form: the inverse of `to_matrix`.

    Mask columns are kept as they are and biases are zero. Weights of absent neurons are
    kept as well: `swajax.network.apply` ignores them, but through them a gradient can
    bring a neuron back. `mask_weights` clears them.

    Raises:
      ValueError: the depth is not in 1..L, or the matrix has another shape.
    """
    width = spec.max_width
    check_range("depth", depth, minimum=1, maximum=spec.max_depth)
    shape = (width, width * depth + 1 + depth)
    if matrix.shape != shape:
        raise ValueError(f"matrix must have shape {shape}, got {matrix.shape}")
    above = (width - spec.num_inputs) // 2
    blocks = matrix[:, : width * depth].reshape(width, depth, width).swapaxes(0, 1)
    hidden = jnp.zeros((spec.max_depth - 1, width, width), matrix.dtype)
    mask = jnp.zeros((spec.max_depth, width), matrix.dtype)
    return Network(
        first=blocks[0, above : above + spec.num_inputs],
        hidden=hidden.at[: depth - 1].set(blocks[1:]),
        readout=matrix[:, width * depth, None],
        bias=jnp.zeros_like(mask),
        readout_bias=jnp.zeros((spec.num_outputs,), matrix.dtype),
        mask=mask.at[:depth].set(matrix[:, width * depth + 1 :].T),
        activation=uniform_activation(spec, matrix.dtype),
        depth=jnp.asarray(depth, jnp.int32),
    )


def check_no_biases(network: Network) -> None:
    """Reject a network with biases, which a form without biases would drop.

    Traced values (under `jit`, `vmap` or `grad`) are not checked.

    Raises:
      ValueError: a present neuron or an output has a bias that is not zero.
    """
    if not _is_concrete(network):
        return
    mask = np.asarray(network.mask)
    is_used = np.arange(len(mask))[:, None] < int(network.depth)
    if (np.asarray(network.bias) * mask * is_used).any():
        raise ValueError(
            "a network without biases is required, but a neuron has a bias"
        )
    if np.any(network.readout_bias):
        raise ValueError(
            "a network without biases is required, but an output has a bias"
        )


def _is_concrete(network: Network) -> bool:
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in network)
