"""The convolutional macro space of arXiv:2312.10440 (appendix): 6561 networks.

Four convolutions with choices, a fixed one of 7 x 7 pixels, and four dense layers.
Dropout is left out.
"""

import dataclasses
import functools
import itertools
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
class ConvMacroConfig(macro.MacroConfig):
    """Options of the space, and what is fixed."""

    channels: tuple[tuple[int, ...], ...] = (
        (8, 16, 32),
        (16, 32, 64),
        (32, 64, 128),
        (64, 128, 256),
    )
    kernels: tuple[tuple[int, ...], ...] = ((3, 5, 7),) * 4
    pools: tuple[int, ...] = (2, 3)
    image_channels: int = 3
    image_size: int = 32
    """pixels along a side of an image"""
    last_kernel: int = 7
    """of the fixed convolution, whose borders are two pixels wide"""
    last_channels: int = 256
    """and its output channels"""
    widths: tuple[int, ...] = (256, 128, 64)
    """neurons of the dense layers before the last"""


class Weights(NamedTuple):
    """Of the largest network, or of one that is sliced."""

    trunk: Trunk
    last: Float[Array, "S S I O"]
    last_bias: Float[Array, " O"]
    dense: tuple[tuple[Float[Array, "I O"], Float[Array, " O"]], ...]


def make_conv_macro(config: ConvMacroConfig) -> SearchSpace:
    """The space; see `convolutions.make_choices` for the names of probabilities."""
    functions = (init, apply, probability_masks, take, apply_alone)
    return bind("conv-macro", macro.make_choices(config), config, *functions)


def init(config: ConvMacroConfig, key: Key) -> Weights:
    """Normal weights of variance 2 / fan in, no biases."""
    trunk_key, last_key, dense_key = jax.random.split(key, 3)
    trunk_keys = list(jax.random.split(trunk_key, len(config.channels)))
    side = config.image_size // 2 ** len(config.pools) + 5 - config.last_kernel
    ins = side**2 * config.last_channels
    widths = itertools.pairwise([ins, *config.widths, config.num_classes])
    dense_keys = jax.random.split(dense_key, len(config.widths) + 1)
    shape = (config.last_kernel,) * 2 + (max(config.channels[-1]), config.last_channels)
    return Weights(
        macro.draw_trunk(trunk_keys, config),
        *affine.draw_affine(last_key, shape),
        dense=tuple(map(affine.draw_affine, dense_keys, widths)),
    )


def apply(
    config: ConvMacroConfig,
    params: Weights,
    p: Probabilities,
    x: Float[Array, "N Y X _"],
) -> Float[Array, "N O"]:
    """The supernet: convolutions by combi-superposition, logits of the classes."""
    keep = macro.keep_probability(config, p)
    hidden = macro.apply_trunk(config, params.trunk, keep, x)
    last = params.last * keep.channels[-1][None, None, :, None]
    return _finish(params._replace(last=last), hidden)


def probability_masks(config: ConvMacroConfig, p: Probabilities) -> Weights:
    """Probability that each weight is in the network."""
    keep = macro.keep_probability(config, p)
    shapes = jax.eval_shape(functools.partial(init, config), jax.random.key(0))
    ones = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)
    square, outs = ones.last[:, :, 0, 0], ones.last_bias
    return ones._replace(
        trunk=macro.mask_trunk(config, keep),
        last=masks.outer(square, keep.channels[-1], outs),
    )


def take(
    config: ConvMacroConfig, params: Weights, architecture: Architecture
) -> Weights:
    """The weights of one network."""
    trunk = macro.take_trunk(config, params.trunk, architecture)
    num = len(trunk.biases[-1])
    return params._replace(trunk=trunk, last=params.last[:, :, :num])


def apply_alone(
    config: ConvMacroConfig,
    alone: Weights,
    architecture: Architecture,
    x: Float[Array, "N Y X _"],
) -> Float[Array, "N O"]:
    """One network by plain convolutions."""
    del architecture  # the shapes tell all
    return _finish(alone, macro.apply_trunk_alone(config, alone.trunk, x))


def _finish(weights: Weights, hidden: Float[Array, "N Y X C"]) -> Float[Array, "N O"]:
    """The part that is the same in all networks but for what it reads."""
    out = jax.lax.conv_general_dilated(
        hidden,
        weights.last,
        (1, 1),
        [(2, 2)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    out = jax.nn.relu(out + weights.last_bias[None, None, None])
    out = out.reshape(len(out), -1)
    for weight, bias in weights.dense[:-1]:
        out = jax.nn.relu(out @ weight + bias[None])
    weight, bias = weights.dense[-1]
    return out @ weight + bias[None]
