"""Three convolutions on images of 8 x 8 pixels: 243 networks.

A small version of the convolutional macro space of arXiv:2312.10440 (appendix), small
enough to train every network standalone.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.tangle.choices import Architecture, Probabilities
from swajax.tangle.layers import affine, axes
from swajax.tangle.layers.axes import Leaf
from swajax.tangle.spaces import macro
from swajax.tangle.spaces.base import SearchSpace, make_search_space
from swajax.tangle.spaces.macro import Trunk
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class DigitsMacroConfig(macro.MacroConfig):
    """Options of the space."""


class Weights(NamedTuple):
    """Weights of the largest network, or the slices of one network."""

    trunk: Trunk
    readout: Float[Array, "C O"]
    readout_bias: Float[Array, " O"]


def make_digits_macro(config: DigitsMacroConfig) -> SearchSpace:
    """Return the space, with the choices channels1, 2, 3 and kernel2, 3."""
    return make_search_space(
        "digits-macro",
        macro.make_choices(config),
        config,
        declared=declare(config),
        init=init,
        apply=apply,
        apply_standalone=apply_standalone,
    )


def declare(config: DigitsMacroConfig) -> Weights:
    """Return the axes of each weight."""
    channels = macro.make_dimensions(config).channels[-1]
    classes = axes.fixed(config.num_classes)
    return Weights(macro.declare_trunk(config), Leaf(channels, classes), Leaf(classes))


def init(config: DigitsMacroConfig, key: Key) -> Weights:
    """Draw normal weights of variance 2 / fan in; biases are 0."""
    *conv_keys, readout_key = jax.random.split(key, len(config.channels) + 1)
    readout = affine.draw_affine(readout_key, declare(config).readout.shape)
    return Weights(macro.draw_trunk(conv_keys, config), *readout)


def apply(
    config: DigitsMacroConfig,
    params: Weights,
    p: Probabilities,
    x: Float[Array, "N Y X _"],
) -> Float[Array, "N O"]:
    """Evaluate the supernet, from images to the logits of the classes."""
    keep = axes.keep(macro.make_dimensions(config), p)
    hidden = macro.apply_trunk(config, params.trunk, keep, x)
    return affine.linear(
        hidden.mean(axis=(1, 2)),
        params.readout,
        params.readout_bias,
        keep_in=keep.channels[-1],
        keep_out=jnp.ones(config.num_classes),
    )


def apply_standalone(
    config: DigitsMacroConfig,
    sliced: Weights,
    architecture: Architecture,
    x: Float[Array, "N Y X _"],
) -> Float[Array, "N O"]:
    """Evaluate one network with plain convolutions."""
    del architecture  # given by the shapes
    hidden = macro.apply_trunk_standalone(config, sliced.trunk, x)
    return hidden.mean(axis=(1, 2)) @ sliced.readout + sliced.readout_bias[None]
