"""Multilayer perceptrons: depth, width and activation per layer, subset of inputs.

The space contains the networks of `swajax.types.Network` with one activation per layer.
"""

import dataclasses
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
from swajax.tangle.layers import affine, axes
from swajax.tangle.layers.axes import Axis, Layers, Leaf
from swajax.tangle.spaces.base import SearchSpace, make_search_space
from swajax.types import DEFAULT_ACTIVATIONS, Key, Network, check_activations


@dataclasses.dataclass(frozen=True)
class MlpConfig:
    """Options of the space; the largest ones are those of `tabular` networks."""

    num_inputs: int = 8
    """inputs I, each of which is used or not"""
    num_outputs: int = 1
    """outputs O"""
    widths: tuple[int, ...] = (2, 4, 6, 8)
    """neurons per hidden layer, chosen for each layer"""
    depths: tuple[int, ...] = (1, 2, 3)
    """numbers of hidden layers"""
    activations: tuple[str, ...] = DEFAULT_ACTIVATIONS
    """activations of a hidden layer, chosen for each layer"""
    masking: affine.Masking = "input"
    """masked axes of a weight: those that are read (input), or also those that are
    written (both)"""

    def __post_init__(self) -> None:
        """Reject limits below one and unknown activations."""
        configs.convert_fields(self)
        if min(self.num_inputs, self.num_outputs, *self.widths) < 1:
            raise ValueError(
                "num_inputs, num_outputs and widths must be >= 1, got "
                f"{self.num_inputs}, {self.num_outputs} and {self.widths}"
            )
        check_activations(self.activations)


class Weights(NamedTuple):
    """First fields of `swajax.types.Network`, for the largest network.

    The slices of one network have the same fields, `hidden` and `bias` being tuples.
    """

    first: Float[Array, "I H"]
    hidden: Float[Array, "L-1 H H"] | tuple[Array, ...]  # [from, to]
    readout: Float[Array, "H O"]
    bias: Float[Array, "L H"] | tuple[Array, ...]
    readout_bias: Float[Array, " O"]


class Dimensions(NamedTuple):
    """Axes that are chosen, or the probabilities that their entries are kept."""

    inputs: Axis | Float[Array, " I"]
    widths: Axis | Float[Array, "L H"]


def make_mlp(config: MlpConfig) -> SearchSpace:
    """Return the space, with the choices depth, width, activation and input.

    Example:
      >>> space = make_mlp(MlpConfig(num_inputs=2))
      >>> [choice.name for choice in space.choices]
      ['depth', 'width', 'activation', 'input']
    """
    return make_search_space(
        "mlp",
        make_choices(config),
        config,
        declared=declare(config),
        init=init,
        apply=apply,
        apply_standalone=apply_standalone,
    )


def make_choices(config: MlpConfig) -> tuple[Choice, ...]:
    """Return the choices of the space."""
    num = max(config.depths, default=1)
    kinds = config.activations
    return (
        Choice("depth", config.depths, "depth"),
        Choice("width", config.widths, "size", num, is_layered=True),
        Choice("activation", kinds, "operation", num, is_layered=True),
        Choice("input", (0, 1), "size", config.num_inputs),
    )


def make_dimensions(config: MlpConfig) -> Dimensions:
    """Return the axes of inputs and of the neurons of each layer."""
    _, width, _, inputs = make_choices(config)
    return Dimensions(axes.select(inputs), axes.follow(width, slice(None)))


def declare(config: MlpConfig) -> Weights:
    """Return the axes of each weight."""
    depth, width, _, _ = make_choices(config)
    inputs, widths = make_dimensions(config)
    between = axes.follow(width, slice(-1)), axes.follow(width, slice(1, None))
    outputs = axes.fixed(config.num_outputs)
    return Weights(
        first=Leaf(inputs, axes.follow(width)),
        hidden=Layers(axes.follow(depth, table=depth.table[:, 1:]), Leaf(*between)),
        readout=Leaf(_last_width(config.depths, widths), outputs),
        bias=Layers(axes.follow(depth), Leaf(widths)),
        readout_bias=Leaf(outputs),
    )


def init(config: MlpConfig, key: Key) -> Weights:
    """Draw normal weights of variance 1 / fan in; biases are 0."""
    zeros = axes.zeros(declare(config))
    flat, unravel = ravel_pytree((zeros.first, zeros.hidden, zeros.readout))
    drawn = unravel(jax.random.normal(key, flat.shape))
    first, hidden, readout = (leaf / leaf.shape[-2] ** 0.5 for leaf in drawn)
    return zeros._replace(first=first, hidden=hidden, readout=readout)


def apply(
    config: MlpConfig, params: Weights, p: Probabilities, x: Float[Array, "N I"]
) -> Float[Array, "N O"]:
    """Evaluate the supernet; the readout reads a mixture of all layers in use."""
    keep_in, widths = axes.keep(make_dimensions(config), p)
    hidden, states = x, []
    for layer, keep_out in enumerate(widths):
        pre = affine.linear(
            hidden,
            params.hidden[layer - 1] if layer else params.first,
            params.bias[layer],
            keep_in=keep_in,
            keep_out=keep_out,
            masking=config.masking,
        )
        kinds = [RECORDS[name].fn(pre) for name in config.activations]
        hidden = affine.mix_operations(kinds, p["activation"][layer])
        states.append(hidden * keep_out[None])
        keep_in = keep_out
    last = affine.mix_depths(jnp.stack(states), p["depth"][0], config.depths)
    return last @ params.readout + params.readout_bias[None]


def apply_standalone(
    config: MlpConfig,
    sliced: Weights,
    architecture: Architecture,
    x: Float[Array, "N I"],
) -> Float[Array, "N O"]:
    """Evaluate one network with plain layers."""
    hidden = x[:, np.flatnonzero(architecture["input"])]
    kernels = sliced.first, *sliced.hidden
    kinds = architecture["activation"][: len(kernels)]
    for kernel, bias, kind in zip(kernels, sliced.bias, kinds, strict=True):
        activation_fn = RECORDS[config.activations[kind]].fn
        hidden = activation_fn(hidden @ kernel + bias[None])
    return hidden @ sliced.readout + sliced.readout_bias[None]


def to_network(params: Weights, p: Probabilities, *, config: MlpConfig) -> Network:
    """Convert one network to the record that is refined and exported.

    Its limits are the largest width and depth of the space; its activations are
    `config.activations`.

    Args:
      params: weights of the supernet.
      p: one-hot probabilities.
      config: configuration of the space.
    """
    width = make_dimensions(config).widths.keep(p)
    kinds = jnp.repeat(p["activation"][:, None], width.shape[1], axis=1)
    depth = p["depth"][0] @ jnp.asarray(config.depths, jnp.float32)
    kept = axes.mask(declare(config), p)
    network = Network(
        *jax.tree.map(jnp.multiply, params, kept),
        mask=width,
        activation=kinds,
        depth=jnp.round(depth).astype(jnp.int32),
    )
    return mask_weights(network)


def _last_width(depths: tuple[int, ...], widths: Axis) -> Axis:
    """Return the axis of the neurons of the last layer, which depends on the depth."""

    def keep(p: Probabilities) -> Float[Array, " H"]:
        return affine.mix_depths(widths.keep(p), p["depth"][0], depths)

    def slices(architecture: Architecture, layer: int) -> Any:
        del layer
        return widths.slices(architecture, depths[architecture["depth"][0]] - 1)

    return Axis(widths.shape, keep, slices)
