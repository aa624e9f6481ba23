"""Supernets of convolutions in sequence, shared by the macro spaces.

The choices are the output channels and the kernel size of each convolution
(arXiv:2312.10440, convolutional macro space); the output channels of one convolution
are the input channels of the next.

Letters: S pixels along a kernel, I and O channels, N images.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.io import configs
from swajax.tangle.choices import Choice
from swajax.tangle.layers import affine, axes
from swajax.tangle.layers.axes import Axis, Leaf
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class MacroConfig:
    """Options that macro spaces share, convolution by convolution."""

    channels: tuple[tuple[int, ...], ...] = ((4, 8, 12), (8, 12, 16), (8, 16, 24))
    """output channels of each convolution"""
    kernels: tuple[tuple[int, ...], ...] = ((3,), (1, 3, 5), (1, 3, 5))
    """kernel sizes of each convolution; a single size is not a choice"""
    pools: tuple[int, ...] = (2,)
    """convolutions, counted from 1, that are followed by 2 x 2 max pooling"""
    image_channels: int = 1
    """channels of the images"""
    num_classes: int = 10
    """outputs O"""
    masking: affine.Masking = "input"
    """masked axes of a weight: those that are read (input), or also those that are
    written (both)"""

    def __post_init__(self) -> None:
        """Reject lists that do not fit together and numbers below one."""
        configs.convert_fields(self)
        if len(self.channels) != len(self.kernels) or not self.channels:
            raise ValueError(
                "channels and kernels must have options for the same number of "
                f"convolutions, got {self.channels} and {self.kernels}"
            )
        if any(size < 1 for size in itertools.chain(*self.channels)):
            raise ValueError(f"channels must be >= 1, got {self.channels}")
        kernels = tuple(itertools.chain(*self.kernels))
        if any(size < 1 or size % 2 == 0 for size in kernels):
            raise ValueError(f"kernels must be odd, got {kernels}")


class Trunk(NamedTuple):
    """Weights of all convolutions, of a supernet or of one network."""

    kernels: tuple[Float[Array, "S S I O"], ...]
    biases: tuple[Float[Array, " O"], ...]


class Dimensions(NamedTuple):
    """Axes of each convolution, or the probabilities that their entries are kept."""

    kernels: tuple[Axis | Float[Array, "S S"], ...]
    channels: tuple[Axis | Float[Array, " O"], ...]


def make_choices(config: MacroConfig) -> tuple[Choice, ...]:
    """Return the choices channels1, ... and kernel1, ..."""
    kernels = enumerate(config.kernels, start=1)
    return (
        *(Choice(f"channels{n}", o) for n, o in enumerate(config.channels, start=1)),
        *(Choice(f"kernel{n}", o, "kernel") for n, o in kernels if len(o) != 1),
    )


def make_dimensions(config: MacroConfig) -> Dimensions:
    """Return the axes of kernels and output channels."""
    found = {choice.name: axes.follow(choice) for choice in make_choices(config)}
    kernels = enumerate(config.kernels, start=1)
    return Dimensions(
        tuple(found.get(f"kernel{n}", axes.fixed(o[0], o[0])) for n, o in kernels),
        tuple(found[f"channels{n + 1}"] for n in range(len(config.channels))),
    )


def declare_trunk(config: MacroConfig) -> Trunk:
    """Return the axes of the weights of all convolutions."""
    kernels, outs = make_dimensions(config)
    ins = axes.fixed(config.image_channels), *outs[:-1]
    return Trunk(tuple(map(Leaf, kernels, ins, outs)), tuple(map(Leaf, outs)))


def draw_trunk(keys: Sequence[Key], config: MacroConfig) -> Trunk:
    """Draw normal weights of variance 2 / fan in, with one key each; biases are 0."""
    kernels = declare_trunk(config).kernels
    drawn = [
        affine.draw_affine(key, leaf.shape)
        for key, leaf in zip(keys, kernels, strict=True)
    ]
    return Trunk(*zip(*drawn, strict=True))


def apply_trunk(
    config: MacroConfig, trunk: Trunk, keep: Dimensions, x: Float[Array, "N Y X _"]
) -> Float[Array, "N V U _"]:
    """Evaluate the convolutions of the supernet.

    The layer that reads the result masks its channels with the last of `keep.channels`.

    Args:
      config: configuration of the space.
      trunk: largest weights.
      keep: probabilities that entries are kept, `axes.keep` of `make_dimensions`.
      x: images.
    """
    keep_in = jnp.ones(config.image_channels)
    for index, (kernel, bias) in enumerate(zip(*trunk, strict=True)):
        x = affine.conv(
            x,
            kernel,
            bias,
            keep_kernel=keep.kernels[index],
            keep_in=keep_in,
            keep_out=keep.channels[index],
            masking=config.masking,
        )
        x, keep_in = activate(config, x, index), keep.channels[index]
    return x


def apply_trunk_standalone(
    config: MacroConfig, trunk: Trunk, x: Float[Array, "N Y X _"]
) -> Float[Array, "N V U _"]:
    """Evaluate the convolutions of one network."""
    for index, (kernel, bias) in enumerate(zip(*trunk, strict=True)):
        out = affine.convolve(x, kernel) + bias[None, None, None]
        x = activate(config, out, index)
    return x


def activate(
    config: MacroConfig, hidden: Float[Array, "N Y X C"], index: int
) -> Float[Array, "N V U C"]:
    """Apply ReLU and, after some convolutions, 2 x 2 max pooling."""
    hidden = jax.nn.relu(hidden)
    if index + 1 not in config.pools:
        return hidden
    return affine.split_blocks(hidden, 2).max(axis=(2, 4))
