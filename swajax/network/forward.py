"""TODO swajax/network/forward.py."""

import chex
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.network.activations import ACTIVATION_FNS
from swajax.types import Network


def apply(
    network: Network,
    x: Float[Array, "N I"],
    *,
    activations: tuple[str, ...],
    depth: int | None = None,
) -> Float[Array, "N O"]:
    """Outputs of one network at N points; the plain form and the reference.

    Args:
      network: the network, unbatched.
      x: the points.
      activations: names of the A kinds that `network.activation` mixes.
      depth: number of hidden layers when it is known at compile time, so that only
        these are computed; by default `network.depth` decides at run time.
    """
    chex.assert_axis_dimension(network.activation, -1, len(activations))
    hidden = x
    for layer in range(network.mask.shape[0] if depth is None else depth):
        weights = network.first if layer == 0 else network.hidden[layer - 1]
        pre = hidden @ weights + network.bias[layer][None]
        out = _mix(pre, network.activation[layer], activations)
        out = out * network.mask[layer][None]
        is_used = layer == 0 or depth is not None or layer < network.depth
        hidden = out if is_used is True else jnp.where(is_used, out, hidden)
    return hidden @ network.readout + network.readout_bias[None]


def _mix(
    pre: Float[Array, "N H"],
    activation: Float[Array, "H A"],
    activations: tuple[str, ...],
) -> Float[Array, "N H"]:
    kinds = (ACTIVATION_FNS[name](pre) for name in activations)
    return sum(kind * activation[None, :, index] for index, kind in enumerate(kinds))
