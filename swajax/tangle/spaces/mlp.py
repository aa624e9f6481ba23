"""Multilayer perceptrons: depth, width and activation of each layer, subset of inputs.

The networks of `swajax.types.Network` with one activation a layer.
"""

import dataclasses
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from swajax.io import configs
from swajax.network import mask_weights
from swajax.network.activations import RECORDS
from swajax.tangle.choices import Architecture, Choice, Probabilities
from swajax.tangle.layers import affine, masks
from swajax.tangle.spaces.base import SearchSpace, bind
from swajax.types import DEFAULT_ACTIVATIONS, Key, Network, check_activations


@dataclasses.dataclass(frozen=True)
class MlpConfig:
    """Options of the space; the largest ones are those of `tabular` networks."""

    num_inputs: int = 8
    """inputs I; each is used or not"""
    num_outputs: int = 1
    """outputs O"""
    widths: tuple[int, ...] = (2, 4, 6, 8)
    """neurons a hidden layer, of each layer on its own"""
    depths: tuple[int, ...] = (1, 2, 3)
    """hidden layers"""
    activations: tuple[str, ...] = DEFAULT_ACTIVATIONS
    """kinds of a hidden layer, of each layer on its own"""
    sides: affine.Sides = "in"
    """which sides of a weight are masked, see `swajax.tangle.layers.affine`"""

    def __post_init__(self) -> None:
        """Reject limits below one and unknown activations."""
        if min(self.num_inputs, self.num_outputs, *self.widths) < 1:
            raise ValueError(
                "num_inputs, num_outputs and widths must be >= 1, got "
                f"{self.num_inputs}, {self.num_outputs} and {self.widths}"
            )
        check_activations(self.activations)
        configs.check_choices(self)


class Weights(NamedTuple):
    """The first fields of `swajax.types.Network`, of the largest network."""

    first: Float[Array, "I H"]
    hidden: Float[Array, "L-1 H H"]  # [from, to]
    readout: Float[Array, "H O"]
    bias: Float[Array, "L H"]
    readout_bias: Float[Array, " O"]


class Alone(NamedTuple):
    """One network, sliced."""

    weights: tuple[Array, ...]  # of each hidden layer, and the readout
    biases: tuple[Array, ...]


def make_mlp(config: MlpConfig) -> SearchSpace:
    """The space; probabilities have the names depth, width, activation and input."""
    num_layers = max(config.depths, default=1)
    choices = (
        Choice("depth", config.depths, "depth"),
        Choice("width", config.widths, "size", num_layers, is_layered=True),
        Choice(
            "activation",
            config.activations,
            "operation",
            num_layers,
            is_layered=True,
        ),
        Choice("input", (0, 1), "size", config.num_inputs),
    )
    functions = (init, apply, probability_masks, take, apply_alone)
    return bind("mlp", choices, config, *functions)


def init(config: MlpConfig, key: Key) -> Weights:
    """Normal weights of variance 1 / fan in, no biases."""
    num_layers, width = max(config.depths), max(config.widths)
    zeros = Weights(
        first=jnp.zeros((config.num_inputs, width)),
        hidden=jnp.zeros((num_layers - 1, width, width)),
        readout=jnp.zeros((width, config.num_outputs)),
        bias=jnp.zeros((num_layers, width)),
        readout_bias=jnp.zeros(config.num_outputs),
    )
    flat, unravel = ravel_pytree((zeros.first, zeros.hidden, zeros.readout))
    drawn = unravel(jax.random.normal(key, flat.shape))
    first, hidden, readout = (leaf / leaf.shape[-2] ** 0.5 for leaf in drawn)
    return zeros._replace(first=first, hidden=hidden, readout=readout)


def apply(
    config: MlpConfig, params: Weights, p: Probabilities, x: Float[Array, "N I"]
) -> Float[Array, "N O"]:
    """The supernet. The readout reads each layer as one that may be the last."""
    keep_in, keep_width = _survivals(config, p)
    hidden, states = x, []
    for layer, keep in enumerate(keep_width):
        pre = affine.linear(
            hidden,
            params.hidden[layer - 1] if layer else params.first,
            params.bias[layer],
            keep_in=keep_in,
            keep_out=keep,
            sides=config.sides,
        )
        kinds = [RECORDS[name].fn(pre) for name in config.activations]
        hidden = affine.mix_operations(kinds, p["activation"][layer])
        states.append(hidden * keep[None])
        keep_in = keep
    last = affine.mix_depths(jnp.stack(states), p["depth"][0], config.depths)
    return last @ params.readout + params.readout_bias[None]


def probability_masks(config: MlpConfig, p: Probabilities) -> Weights:
    """Probability that each weight is in the network."""
    keep_in, width = _survivals(config, p)
    used = masks.keep_probability(p["depth"][0], masks.prefix(config.depths))
    between = width[:-1, :, None] * width[1:, None, :]
    last = affine.mix_depths(width, p["depth"][0], config.depths)
    outputs = jnp.ones(config.num_outputs)
    return Weights(
        first=masks.outer(keep_in, width[0]) * used[0],
        hidden=between * used[1:, None, None],
        readout=masks.outer(last, outputs),
        bias=width * used[:, None],
        readout_bias=outputs,
    )


def take(config: MlpConfig, params: Weights, architecture: Architecture) -> Alone:
    """The weights of one network."""
    inputs, widths = _read(config, architecture)
    weights = [params.first[inputs, : widths[0]]]
    for layer, (size, next_size) in enumerate(itertools.pairwise(widths)):
        weights.append(params.hidden[layer, :size, :next_size])
    weights.append(params.readout[: widths[-1]])
    biases = [params.bias[layer, :size] for layer, size in enumerate(widths)]
    return Alone(tuple(weights), (*biases, params.readout_bias))


def apply_alone(
    config: MlpConfig, alone: Alone, architecture: Architecture, x: Float[Array, "N I"]
) -> Float[Array, "N O"]:
    """One network by plain layers."""
    inputs, widths = _read(config, architecture)
    hidden = x[:, inputs]
    for layer in range(len(widths)):
        kind = config.activations[architecture["activation"][layer]]
        pre = hidden @ alone.weights[layer] + alone.biases[layer][None]
        hidden = RECORDS[kind].fn(pre)
    return hidden @ alone.weights[-1] + alone.biases[-1][None]


def to_network(params: Weights, p: Probabilities, *, config: MlpConfig) -> Network:
    """One network as the record that is polished, shrunk and exported.

    Its limits are the largest width and depth of the space, its kinds of activation
    `config.activations`.

    Args:
      params: of the supernet.
      p: one-hot probabilities.
      config: of the space.
    """
    width = masks.keep_probability(p["width"], masks.prefix(config.widths))
    kinds = jnp.repeat(p["activation"][:, None], width.shape[1], axis=1)
    depth = p["depth"][0] @ jnp.asarray(config.depths, jnp.float32)
    network = Network(
        *jax.tree.map(jnp.multiply, params, probability_masks(config, p)),
        mask=width,
        activation=kinds,
        depth=jnp.round(depth).astype(jnp.int32),
    )
    return mask_weights(network)


def _survivals(
    config: MlpConfig, p: Probabilities
) -> tuple[Float[Array, " I"], Float[Array, "L H"]]:
    return p["input"][:, 1], masks.keep_probability(
        p["width"], masks.prefix(config.widths)
    )


def _read(config: MlpConfig, architecture: Architecture) -> tuple[Any, list[int]]:
    """Indices of the inputs in use, and the widths of the layers in use."""
    depth = config.depths[architecture["depth"][0]]
    widths = [config.widths[index] for index in architecture["width"][:depth]]
    return np.flatnonzero(architecture["input"]), widths
