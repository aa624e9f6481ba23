"""Outputs of one network: the plain form, and the reference for the fast one."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.network.activations import mix_activations
from swajax.types import Network, check_kinds, check_single


def apply(
    network: Network,
    x: Float[Array, "N I"],
    *,
    activations: tuple[str, ...],
    depth: int | None = None,
) -> Float[Array, "N O"]:
    """Compute the outputs of one network at N points.

    All floating-point arguments are differentiable, in forward and in reverse mode.

    Args:
      network: one network, without a batch axis.
      x: points.
      activations: names of the A activations that `network.activation` mixes.
      depth: number of hidden layers, 1..L, if it is known at compile time: then only
        these layers are computed. By default `network.depth` applies at run time.

    Returns:
      The outputs; they are linear in the last hidden layer.

    Raises:
      ValueError: the shape of `x`, the number or a name of the activations, or `depth`
        does not fit the network.

    Example:
      >>> from swajax.network import from_layers
      >>> weights, biases = [[[1.0], [1.0]], [[3.0]]], [[0.0], [1.0]]
      >>> network, spec = from_layers(weights, biases, ["tanh"])
      >>> apply(network, jnp.zeros((2, 2)), activations=spec.activations).tolist()
      [[1.0], [1.0]]
    """
    check_single(network)
    check_shapes(network, x, activations=activations, depth=depth)
    network, hidden = jax.tree.map(jnp.asarray, (network, x))  # NumPy networks, too
    for layer in range(network.mask.shape[0] if depth is None else depth):
        weights = network.first if layer == 0 else network.hidden[layer - 1]
        pre = hidden @ weights + network.bias[layer][None]
        out = mix_activations(pre, network.activation[layer], activations)
        out = out * network.mask[layer][None]
        is_used = layer == 0 or depth is not None or layer < network.depth
        hidden = out if is_used is True else jnp.where(is_used, out, hidden)
    return hidden @ network.readout + network.readout_bias[None]


def check_shapes(
    networks: Network,
    x: Float[Array, "..."],
    *,
    activations: Sequence[str],
    depth: int | None,
) -> None:
    """Check that points, activations and depth fit one network or a batch.

    Only static shapes are read, so that compiled programs do not change.

    Raises:
      ValueError: an argument does not fit; the message names it.
    """
    num_inputs, num_layers = networks.first.shape[-2], networks.mask.shape[-2]
    if x.ndim < 2 or x.shape[-1] != num_inputs:
        raise ValueError(
            f"x must have the shape [N, {num_inputs}], one row per point, got {x.shape}"
        )
    check_kinds(networks, activations)
    if depth is not None and not 1 <= depth <= num_layers:
        raise ValueError(f"depth must be in 1..{num_layers}, got {depth}")
