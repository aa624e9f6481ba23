"""Canonical order of the neurons of a network."""

import jax.numpy as jnp

from swajax.network import mask_weights, permute, remove_dead_ends
from swajax.types import Network


def canonical_order(network: Network) -> Network:
    """Remove dead ends and sort the neurons of each layer; the outputs do not change.

    The sort key of a neuron is the total absolute weight of the paths through it, which
    is invariant to permutations of any layer. The order is descending; absent neurons
    come last.
    """
    network = remove_dead_ends(mask_weights(network))
    num_layers = network.mask.shape[0]
    forward = [jnp.abs(network.first).sum(0)]
    for layer in range(num_layers - 1):
        forward.append(forward[-1] @ jnp.abs(network.hidden[layer]))
    at_output = jnp.abs(network.readout).sum(1)
    backward = [at_output] * num_layers
    for layer in reversed(range(num_layers - 1)):
        feeds = jnp.abs(network.hidden[layer]) @ backward[layer + 1]
        backward[layer] = jnp.where(layer == network.depth - 1, at_output, feeds)
    # The constants order neurons without incoming or without outgoing weights.
    key = (jnp.stack(forward) + 0.1) * (jnp.stack(backward) + 0.1)
    order = jnp.argsort(-jnp.where(network.mask > 0, key, -1.0), axis=1)
    return permute(network, order)
