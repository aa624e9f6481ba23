"""Three convolutions on images of 8 x 8: channels and kernels, 243 networks.

The small relative of the convolutional macro space of arXiv:2312.10440 (appendix): few
enough networks to train each on its own.
"""

import dataclasses
import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax import configs
from swajax.tangle import layers, masks
from swajax.tangle.choices import Architecture, Choice, Probabilities
from swajax.tangle.space import Space
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class DigitsMacroConfig:
    """Options of the space, convolution by convolution."""

    channels: tuple[tuple[int, ...], ...] = ((4, 8, 12), (8, 12, 16), (8, 16, 24))
    """output channels of each of the three; the next one reads as many"""
    kernels: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5))
    """kernel sizes of the second and the third"""
    first_kernel: int = 3
    """kernel size of the first"""
    num_classes: int = 10
    """outputs O"""
    sides: layers.Sides = "in"
    """which sides of a weight are masked, see `swajax.tangle.layers`"""

    def __post_init__(self) -> None:
        """Reject another number of convolutions and numbers below one."""
        if len(self.channels) != 3 or len(self.kernels) != 2:
            raise ValueError(
                "channels must have options for 3 convolutions and kernels for 2, got "
                f"{self.channels} and {self.kernels}"
            )
        if any(size < 1 for size in itertools.chain(*self.channels)):
            raise ValueError(f"channels must be >= 1, got {self.channels}")
        kernels = (self.first_kernel, *itertools.chain(*self.kernels))
        if any(size < 1 or size % 2 == 0 for size in kernels):
            raise ValueError(f"kernels must be odd, got {kernels}")
        configs.check_choices(self)


class Weights(NamedTuple):
    """Of the largest network, or of one that is sliced."""

    kernels: tuple[Float[Array, "S S I O"], ...]
    biases: tuple[Float[Array, " O"], ...]
    readout: Float[Array, "C O"]
    readout_bias: Float[Array, " O"]


def make_digits_macro(config: DigitsMacroConfig) -> Space:
    """The space; probabilities are named channels1..3, kernel2 and kernel3."""
    choices = (
        *(Choice(f"channels{n}", o) for n, o in enumerate(config.channels, start=1)),
        *(Choice(f"kernel{n}", o, "kernel") for n, o in enumerate(config.kernels, 2)),
    )
    functions = (init, apply, probability_masks, take, apply_alone)
    bound = (functools.partial(f, config) for f in functions)
    return Space("digits-macro", choices, *bound)


def init(config: DigitsMacroConfig, key: Key) -> Weights:
    """Normal weights of variance 2 / fan in, no biases."""
    *conv_keys, readout_key = jax.random.split(key, 4)
    sizes = (config.first_kernel, *map(max, config.kernels))
    outs = [max(options) for options in config.channels]
    widths = itertools.pairwise([1, *outs])
    drawn = [
        layers.draw_affine(key, (size, size, *width))
        for key, size, width in zip(conv_keys, sizes, widths, strict=True)
    ]
    readout = layers.draw_affine(readout_key, (outs[-1], config.num_classes))
    return Weights(*zip(*drawn, strict=True), *readout)


def apply(
    config: DigitsMacroConfig,
    params: Weights,
    p: Probabilities,
    x: Float[Array, "N Y X 1"],
) -> Float[Array, "N O"]:
    """The supernet: convolutions by combi-superposition, logits of the classes."""
    kernels, channels = _survivals(config, p)
    hidden, keep_in = x, jnp.ones(1)
    for layer, keep_out in enumerate(channels):
        hidden = layers.conv(
            hidden,
            params.kernels[layer],
            params.biases[layer],
            keep_kernel=kernels[layer],
            keep_in=keep_in,
            keep_out=keep_out,
            sides=config.sides,
        )
        hidden, keep_in = _activate(hidden, layer), keep_out
    return layers.linear(
        hidden.mean(axis=(1, 2)),
        params.readout,
        params.readout_bias,
        keep_in=keep_in,
        keep_out=jnp.ones(config.num_classes),
    )


def probability_masks(config: DigitsMacroConfig, p: Probabilities) -> Weights:
    """Probability that each weight is in the network."""
    kernels, channels = _survivals(config, p)
    ins = [jnp.ones(1), *channels]
    classes = jnp.ones(config.num_classes)
    return Weights(
        kernels=tuple(map(masks.outer, kernels, ins, channels)),
        biases=tuple(channels),
        readout=masks.outer(channels[-1], classes),
        readout_bias=classes,
    )


def take(
    config: DigitsMacroConfig, params: Weights, architecture: Architecture
) -> Weights:
    """The weights of one network."""
    outs, sizes = _read(config, architecture)
    widths = itertools.pairwise([1, *outs])
    kernels = tuple(
        _centre(kernel, size)[:, :, :ins, :out]
        for kernel, size, (ins, out) in zip(params.kernels, sizes, widths, strict=True)
    )
    return Weights(
        kernels=kernels,
        biases=tuple(b[:out] for b, out in zip(params.biases, outs, strict=True)),
        readout=params.readout[: outs[-1]],
        readout_bias=params.readout_bias,
    )


def apply_alone(
    config: DigitsMacroConfig,
    alone: Weights,
    architecture: Architecture,
    x: Float[Array, "N Y X 1"],
) -> Float[Array, "N O"]:
    """One network by plain convolutions."""
    del config, architecture  # the shapes tell all
    hidden = x
    for layer, (kernel, bias) in enumerate(zip(*alone[:2], strict=True)):
        out = layers.convolve(hidden, kernel) + bias[None, None, None]
        hidden = _activate(out, layer)
    return hidden.mean(axis=(1, 2)) @ alone.readout + alone.readout_bias[None]


def _activate(hidden: Float[Array, "N Y X C"], layer: int) -> Float[Array, "..."]:
    """Rectified; after the second convolution the largest of 2 x 2 pixels each."""
    hidden = jax.nn.relu(hidden)
    if layer != 1:
        return hidden
    num, height, width, channels = hidden.shape
    blocks = hidden.reshape(num, height // 2, 2, width // 2, 2, channels)
    return blocks.max(axis=(2, 4))


def _survivals(config: DigitsMacroConfig, p: Probabilities) -> tuple[Any, Any]:
    """Of the kernel and of the output channels of each convolution."""
    kernels = [jnp.ones((config.first_kernel,) * 2)]
    for place, sizes in enumerate(config.kernels, start=2):
        kernels.append(masks.survive(p[f"kernel{place}"][0], masks.centre(sizes)))
    channels = [
        masks.survive(p[f"channels{place}"][0], masks.prefix(sizes))
        for place, sizes in enumerate(config.channels, start=1)
    ]
    return kernels, channels


def _read(
    config: DigitsMacroConfig, architecture: Architecture
) -> tuple[list[int], list[int]]:
    """Output channels and kernel sizes of the convolutions of one network."""

    def pick(name: str, sizes: tuple[int, ...]) -> int:
        return sizes[architecture[name][0]]

    outs = [pick(f"channels{n}", o) for n, o in enumerate(config.channels, start=1)]
    kernels = [pick(f"kernel{n}", o) for n, o in enumerate(config.kernels, start=2)]
    return outs, [config.first_kernel, *kernels]


def _centre(kernel: Float[Array, "S S I O"], size: int) -> Float[Array, "..."]:
    start = (kernel.shape[0] - size) // 2
    return kernel[start : start + size, start : start + size]
