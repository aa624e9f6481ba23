"""Three convolutions on images of 8 x 8: channels and kernels, 243 networks.

The small relative of the convolutional macro space of arXiv:2312.10440 (appendix): few
enough networks to train each on its own.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.tangle.choices import Architecture, Probabilities
from swajax.tangle.layers import affine, masks
from swajax.tangle.spaces import macro
from swajax.tangle.spaces.base import SearchSpace, bind
from swajax.tangle.spaces.macro import Trunk
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class DigitsMacroConfig(macro.MacroConfig):
    """Options of the space."""


class Weights(NamedTuple):
    """Of the largest network, or of one that is sliced."""

    trunk: Trunk
    readout: Float[Array, "C O"]
    readout_bias: Float[Array, " O"]


def make_digits_macro(config: DigitsMacroConfig) -> SearchSpace:
    """The space; probabilities are named channels1..3, kernel2 and kernel3."""
    functions = (init, apply, probability_masks, take, apply_alone)
    return bind("digits-macro", macro.make_choices(config), config, *functions)


def init(config: DigitsMacroConfig, key: Key) -> Weights:
    """Normal weights of variance 2 / fan in, no biases."""
    *conv_keys, readout_key = jax.random.split(key, len(config.channels) + 1)
    shape = (max(config.channels[-1]), config.num_classes)
    readout = affine.draw_affine(readout_key, shape)
    return Weights(macro.draw_trunk(conv_keys, config), *readout)


def apply(
    config: DigitsMacroConfig,
    params: Weights,
    p: Probabilities,
    x: Float[Array, "N Y X _"],
) -> Float[Array, "N O"]:
    """The supernet: convolutions by combi-superposition, logits of the classes."""
    keep = macro.keep_probability(config, p)
    hidden = macro.apply_trunk(config, params.trunk, keep, x)
    return affine.linear(
        hidden.mean(axis=(1, 2)),
        params.readout,
        params.readout_bias,
        keep_in=keep.channels[-1],
        keep_out=jnp.ones(config.num_classes),
    )


def probability_masks(config: DigitsMacroConfig, p: Probabilities) -> Weights:
    """Probability that each weight is in the network."""
    keep = macro.keep_probability(config, p)
    classes = jnp.ones(config.num_classes)
    return Weights(
        trunk=macro.mask_trunk(config, keep),
        readout=masks.outer(keep.channels[-1], classes),
        readout_bias=classes,
    )


def take(
    config: DigitsMacroConfig, params: Weights, architecture: Architecture
) -> Weights:
    """The weights of one network."""
    trunk = macro.take_trunk(config, params.trunk, architecture)
    return Weights(trunk, params.readout[: len(trunk.biases[-1])], params.readout_bias)


def apply_alone(
    config: DigitsMacroConfig,
    alone: Weights,
    architecture: Architecture,
    x: Float[Array, "N Y X _"],
) -> Float[Array, "N O"]:
    """One network by plain convolutions."""
    del architecture  # the shapes tell all
    hidden = macro.apply_trunk_alone(config, alone.trunk, x)
    return hidden.mean(axis=(1, 2)) @ alone.readout + alone.readout_bias[None]
