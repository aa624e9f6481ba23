"""Convolutions one after another as supernets: the part that macro spaces share.

Choices are output channels and kernel size of each (arXiv:2312.10440, its
convolutional macro space); the channels of one are the input channels of the next.

Letters: S pixels along a kernel, I and O channels, N images.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.io import configs
from swajax.tangle.choices import Architecture, Choice, Probabilities
from swajax.tangle.layers import affine, masks
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class MacroConfig:
    """Options that macro spaces share, convolution by convolution."""

    channels: tuple[tuple[int, ...], ...] = ((4, 8, 12), (8, 12, 16), (8, 16, 24))
    """output channels of each; the next one reads as many"""
    kernels: tuple[tuple[int, ...], ...] = ((3,), (1, 3, 5), (1, 3, 5))
    """kernel sizes of each; a single one is no choice"""
    pools: tuple[int, ...] = (2,)
    """after which of them, counted from 1, the largest of 2 x 2 pixels is taken"""
    image_channels: int = 1
    """numbers of a pixel"""
    num_classes: int = 10
    """outputs O"""
    sides: affine.Sides = "in"
    """which sides of a weight are masked, see `swajax.tangle.layers.affine`"""

    def __post_init__(self) -> None:
        """Reject lists that do not fit together and numbers below one."""
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
        configs.check_choices(self)


class Trunk(NamedTuple):
    """Weights of all convolutions, of a supernet or of one network."""

    kernels: tuple[Float[Array, "S S I O"], ...]
    biases: tuple[Float[Array, " O"], ...]


class Keep(NamedTuple):
    """Survivals, convolution by convolution."""

    kernels: tuple[Float[Array, "S S"], ...]
    channels: tuple[Float[Array, " O"], ...]


def make_choices(config: MacroConfig) -> tuple[Choice, ...]:
    """The choices; probabilities are named channels1, ... and kernel1, ..."""
    kernels = enumerate(config.kernels, start=1)
    return (
        *(Choice(f"channels{n}", o) for n, o in enumerate(config.channels, start=1)),
        *(Choice(f"kernel{n}", o, "kernel") for n, o in kernels if len(o) != 1),
    )


def draw_trunk(keys: Sequence[Key], config: MacroConfig) -> Trunk:
    """Normal weights of variance 2 / fan in, no biases; a key each."""
    widths = itertools.pairwise([config.image_channels, *map(max, config.channels)])
    drawn = [
        affine.draw_affine(key, (size, size, *width))
        for key, size, width in zip(keys, map(max, config.kernels), widths, strict=True)
    ]
    return Trunk(*zip(*drawn, strict=True))


def keep_probability(config: MacroConfig, p: Probabilities) -> Keep:
    """Survivals of kernels and channels."""
    kernels = [
        jnp.ones((sizes[0],) * 2)
        if len(sizes) == 1
        else masks.keep_probability(p[f"kernel{n}"][0], masks.centre(sizes))
        for n, sizes in enumerate(config.kernels, start=1)
    ]
    channels = [
        masks.keep_probability(p[f"channels{n}"][0], masks.prefix(sizes))
        for n, sizes in enumerate(config.channels, start=1)
    ]
    return Keep(tuple(kernels), tuple(channels))


def apply_trunk(
    config: MacroConfig, trunk: Trunk, keep: Keep, x: Float[Array, "N Y X _"]
) -> Float[Array, "N V U _"]:
    """The supernet; what reads the result masks it by the last `keep.channels`."""
    keep_in = jnp.ones(config.image_channels)
    for place, (kernel, bias) in enumerate(zip(*trunk, strict=True)):
        x = affine.conv(
            x,
            kernel,
            bias,
            keep_kernel=keep.kernels[place],
            keep_in=keep_in,
            keep_out=keep.channels[place],
            sides=config.sides,
        )
        x, keep_in = activate(config, x, place), keep.channels[place]
    return x


def apply_trunk_alone(
    config: MacroConfig, trunk: Trunk, x: Float[Array, "N Y X _"]
) -> Float[Array, "N V U _"]:
    """One network by plain convolutions."""
    for place, (kernel, bias) in enumerate(zip(*trunk, strict=True)):
        out = affine.convolve(x, kernel) + bias[None, None, None]
        x = activate(config, out, place)
    return x


def mask_trunk(config: MacroConfig, keep: Keep) -> Trunk:
    """Probability that each weight is in the network."""
    ins = (jnp.ones(config.image_channels), *keep.channels)
    return Trunk(tuple(map(masks.outer, keep.kernels, ins, keep.channels)), keep[1])


def take_trunk(config: MacroConfig, trunk: Trunk, architecture: Architecture) -> Trunk:
    """The weights of one network."""
    pick = functools.partial(_pick, architecture)
    outs = [pick(f"channels{n}", o) for n, o in enumerate(config.channels, start=1)]
    sizes = [pick(f"kernel{n}", o) for n, o in enumerate(config.kernels, start=1)]
    widths = itertools.pairwise([config.image_channels, *outs])
    kernels = tuple(
        _centre(kernel, size)[:, :, :ins, :out]
        for kernel, size, (ins, out) in zip(trunk.kernels, sizes, widths, strict=True)
    )
    biases = tuple(b[:out] for b, out in zip(trunk.biases, outs, strict=True))
    return Trunk(kernels, biases)


def activate(
    config: MacroConfig, hidden: Float[Array, "N Y X C"], place: int
) -> Float[Array, "N V U C"]:
    """Rectified; after some convolutions the largest of 2 x 2 pixels each."""
    hidden = jax.nn.relu(hidden)
    if place + 1 not in config.pools:
        return hidden
    return affine.split_blocks(hidden, 2).max(axis=(2, 4))


def _pick(architecture: Architecture, name: str, sizes: tuple[int, ...]) -> int:
    return sizes[architecture[name][0]] if name in architecture else sizes[0]


def _centre(kernel: Float[Array, "S S I O"], size: int) -> Float[Array, "..."]:
    start = (kernel.shape[0] - size) // 2
    return kernel[start : start + size, start : start + size]
