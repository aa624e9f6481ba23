"""Drafts: networks of one depth as real numbers that a flow can move.

Each weight and bias is a pair of its value, arcsinh(w), and its presence, 1 or -1; a
neuron has besides 1 for its activation and -1 for the others. The numbers are so close
to a standard normal distribution that a flow from noise reaches them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from swajax.autoencoder.base import Present
from swajax.network import pack, simplify, unpack
from swajax.network.gates import ABSENT_SCORE, bottlenecks, top_k_gates
from swajax.types import Network, NetworkSpec

MAX_VALUE = 5.0  # of a draft: weights up to sinh(5) = 74
ODD = ("tanh", "linear", "sin")  # f(-x) = -f(x)
SCALABLE = ("leaky_relu", "linear")  # f(c x) = c f(x) for c > 0


class Draft(NamedTuple):
    """A network of D layers: pairs of value and presence."""

    first: Float[Array, "*B I H 2"]
    hidden: Float[Array, "*B D-1 H H 2"]
    readout: Float[Array, "*B H O 2"]
    neurons: Float[Array, "*B D H 2+A"]  # the bias, and the activation
    outputs: Float[Array, "*B O 2"]  # the bias


def to_draft(network: Network, *, depth: int) -> Draft:
    """Return the draft of a network of `depth` layers without dead parts."""
    kinds = (2 * network.activation - 1) * network.mask[..., None]
    neurons = jnp.concatenate([_pair(network.bias), kinds], axis=-1)
    return Draft(
        _pair(network.first),
        _pair(network.hidden[: depth - 1]),
        _pair(network.readout),
        neurons[:depth],
        _pair(network.readout_bias),
    )


def to_network(
    draft: Draft,
    num_weights: Num[Array, ""] | int,
    *,
    spec: NetworkSpec,
    present: Present,
) -> Network:
    """Return the network of the K weights with the highest presence.

    The presence of a weight counts as the lowest one on the best path through it, so
    that all K weights are on paths from an input to an output.

    Args:
      draft: numbers from the flow.
      num_weights: K, number of weights and biases.
      spec: limits of the network; `max_depth` may exceed the depth of the draft.
      present: which inputs and outputs exist.
    """
    depth, width = draft.neurons.shape[:2]
    more = spec.max_depth - depth

    def pad(leaf: Array, value: float) -> Array:
        widths = [(0, more)] + [(0, 0)] * (leaf.ndim - 1)
        return jnp.pad(leaf, widths, constant_values=value)

    kinds = jax.nn.one_hot(
        draft.neurons[..., 2:].argmax(axis=-1), len(spec.activations)
    )
    empty = jax.nn.one_hot(jnp.zeros((more, width), int), len(spec.activations))
    scores, values = (
        Network(
            draft.first[..., part],
            pad(draft.hidden[..., part], absent),
            draft.readout[..., part],
            pad(draft.neurons[..., part], absent),
            draft.outputs[..., part],
            pad(jnp.ones((depth, width)), 0.0),
            jnp.concatenate([kinds, empty]),
            jnp.asarray(depth, jnp.int32),
        )
        for part, absent in ((1, ABSENT_SCORE), (0, 0.0))
    )
    is_input, is_output = present
    scores = scores._replace(
        first=jnp.where(is_input[:, None] > 0, scores.first, ABSENT_SCORE),
        readout=jnp.where(is_output[None] > 0, scores.readout, ABSENT_SCORE),
        readout_bias=jnp.where(is_output > 0, scores.readout_bias, ABSENT_SCORE),
    )
    order = pack(bottlenecks(scores, depth=depth))
    size = jnp.asarray(num_weights, order.dtype)
    gates = top_k_gates(pack(scores), size, order=order)
    is_active = (gates > 0.5) & (order > ABSENT_SCORE / 2)
    weights = jnp.sinh(jnp.clip(pack(values), -MAX_VALUE, MAX_VALUE))
    network = unpack(jnp.where(is_active, weights, 0.0), values)
    return simplify(network, activations=spec.activations)


def make_canonical(network: Network, *, activations: tuple[str, ...]) -> Network:
    """Choose the sign and scale of neurons for which these are free.

    Outgoing weights of odd activations have a positive sum; incoming weights of
    piecewise linear ones have norm 1. The outputs do not change.
    """
    is_odd = _flags(activations, ODD)
    is_scalable = _flags(activations, SCALABLE)
    for layer in range(network.mask.shape[0]):
        kinds = network.activation[layer]
        is_last = layer == network.depth - 1
        incoming = network.first if layer == 0 else network.hidden[layer - 1]
        outgoing = network.readout.sum(axis=1)
        if layer + 1 < network.mask.shape[0]:
            following = network.hidden[layer].sum(axis=1)
            outgoing = jnp.where(is_last, outgoing, following)
        norm = jnp.sqrt(jnp.square(incoming).sum(axis=0))
        is_free = (kinds @ is_scalable > 0) & (norm > 0)
        factor = jnp.where(is_free, 1 / jnp.maximum(norm, 1e-12), 1.0)
        factor *= jnp.where((kinds @ is_odd > 0) & (outgoing < 0), -1.0, 1.0)
        network = _scale_neurons(network, layer, factor)
    return network


def _scale_neurons(network: Network, layer: int, factor: Float[Array, " H"]) -> Network:
    """Multiply what goes into the neurons of a layer, and divide what goes out."""
    bias = network.bias.at[layer].multiply(factor)
    is_last = layer == network.depth - 1
    readout = network.readout * jnp.where(is_last, 1 / factor, 1.0)[:, None]
    first, hidden = network.first, network.hidden
    if layer == 0:
        first = first * factor[None]
    else:
        hidden = hidden.at[layer - 1].multiply(factor[None])
    if layer + 1 < network.mask.shape[0]:
        hidden = hidden.at[layer].multiply(1 / factor[:, None])
    return network._replace(first=first, hidden=hidden, readout=readout, bias=bias)


def _flags(activations: tuple[str, ...], chosen: tuple[str, ...]) -> Array:
    return jnp.array([float(name in chosen) for name in activations])


def _pair(weights: Float[Array, "*S"]) -> Float[Array, "*S 2"]:
    presence = jnp.where(weights != 0, 1.0, -1.0)
    value = jnp.clip(jnp.arcsinh(weights), -MAX_VALUE, MAX_VALUE)
    return jnp.stack([value, presence], axis=-1)
