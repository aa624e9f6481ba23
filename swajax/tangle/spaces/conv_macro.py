"""The convolutional macro space of arXiv:2312.10440 (appendix): 6561 networks.

Four convolutions with choices, a fixed one of 7 x 7 pixels, and four dense layers. The
dropout of the paper is omitted.
"""

import dataclasses
import itertools
from typing import NamedTuple

import jax
from jaxtyping import Array, Float

from swajax.tangle.choices import Architecture, Probabilities
from swajax.tangle.layers import affine, axes
from swajax.tangle.layers.axes import Leaf
from swajax.tangle.spaces import macro
from swajax.tangle.spaces.base import SearchSpace, make_search_space
from swajax.tangle.spaces.macro import Trunk
from swajax.types import Key

PADDING = 2  # padding of the fixed convolution, in pixels


@dataclasses.dataclass(frozen=True)
class ConvMacroConfig(macro.MacroConfig):
    """Options of the space and sizes of its fixed layers."""

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
    """kernel size of the fixed convolution, which has a padding of two pixels"""
    last_channels: int = 256
    """output channels of the fixed convolution"""
    widths: tuple[int, ...] = (256, 128, 64)
    """neurons of the dense layers except the last"""


class Weights(NamedTuple):
    """Weights of the largest network, or the slices of one network."""

    trunk: Trunk
    last: Float[Array, "S S I O"]
    last_bias: Float[Array, " O"]
    dense: tuple[tuple[Float[Array, "I O"], Float[Array, " O"]], ...]


def make_conv_macro(config: ConvMacroConfig) -> SearchSpace:
    """Return the space; see `macro.make_choices` for the names of its choices."""
    return make_search_space(
        "conv-macro",
        macro.make_choices(config),
        config,
        declared=declare(config),
        init=init,
        apply=apply,
        apply_standalone=apply_standalone,
    )


def declare(config: ConvMacroConfig) -> Weights:
    """Return the axes of each weight."""
    kernel = config.last_kernel
    side = config.image_size // 2 ** len(config.pools) + 2 * PADDING + 1 - kernel
    ins, channels = side**2 * config.last_channels, axes.fixed(config.last_channels)
    widths = itertools.pairwise([ins, *config.widths, config.num_classes])
    read = macro.make_dimensions(config).channels[-1]
    return Weights(
        trunk=macro.declare_trunk(config),
        last=Leaf(axes.fixed(kernel, kernel), read, channels),
        last_bias=Leaf(channels),
        dense=tuple((Leaf(axes.fixed(i, o)), Leaf(axes.fixed(o))) for i, o in widths),
    )


def init(config: ConvMacroConfig, key: Key) -> Weights:
    """Draw normal weights of variance 2 / fan in; biases are 0."""
    trunk_key, last_key, dense_key = jax.random.split(key, 3)
    trunk_keys = list(jax.random.split(trunk_key, len(config.channels)))
    declared = declare(config)
    dense_keys = jax.random.split(dense_key, len(declared.dense))
    return Weights(
        macro.draw_trunk(trunk_keys, config),
        *affine.draw_affine(last_key, declared.last.shape),
        dense=tuple(
            affine.draw_affine(subkey, leaf.shape)
            for subkey, (leaf, _) in zip(dense_keys, declared.dense, strict=True)
        ),
    )


def apply(
    config: ConvMacroConfig,
    params: Weights,
    p: Probabilities,
    x: Float[Array, "N Y X _"],
) -> Float[Array, "N O"]:
    """Evaluate the supernet, from images to the logits of the classes."""
    keep = axes.keep(macro.make_dimensions(config), p)
    hidden = macro.apply_trunk(config, params.trunk, keep, x)
    last = params.last * keep.channels[-1][None, None, :, None]
    return _apply_fixed(params._replace(last=last), hidden)


def apply_standalone(
    config: ConvMacroConfig,
    sliced: Weights,
    architecture: Architecture,
    x: Float[Array, "N Y X _"],
) -> Float[Array, "N O"]:
    """Evaluate one network with plain convolutions."""
    del architecture  # given by the shapes
    return _apply_fixed(sliced, macro.apply_trunk_standalone(config, sliced.trunk, x))


def _apply_fixed(
    weights: Weights, hidden: Float[Array, "N Y X C"]
) -> Float[Array, "N O"]:
    """Apply the layers without choices."""
    out = jax.lax.conv_general_dilated(
        hidden,
        weights.last,
        (1, 1),
        [(PADDING, PADDING)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    out = jax.nn.relu(out + weights.last_bias[None, None, None])
    out = out.reshape(len(out), -1)
    for weight, bias in weights.dense[:-1]:
        out = jax.nn.relu(out @ weight + bias[None])
    weight, bias = weights.dense[-1]
    return out @ weight + bias[None]
