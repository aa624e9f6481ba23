"""TODO swajax/autoencoder/matrix.py."""

import chex
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.network import mask_weights, uniform_activation
from swajax.types import Network, NetworkSpec


def to_matrix(network: Network, *, depth: int) -> Float[Array, "H C"]:
    """The flattened form of a network without biases, C = H d + 1 + d columns.

    From left to right: d blocks of weights [fan in, fan out] with the inputs in the
    middle rows of the first, the readout column, d columns of neuron masks
    (arXiv:2410.08339, multi-scale representation; spec section 3).
    """
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
    """Inverse of `to_matrix`: mask columns are taken as they are, biases are zero.

    Weights of absent neurons stay as well: they are ignored, but by them a gradient can
    bring a neuron back. `mask_weights` clears them.
    """
    width = spec.max_width
    chex.assert_shape(matrix, (width, width * depth + 1 + depth))
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
