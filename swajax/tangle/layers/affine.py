"""Affine layers under masks, mixtures of depths and of operations.

Every layer takes the survivals (`masks.survive`) of the entries it reads, `keep_in`,
and writes, `keep_out`. `sides` says which of them mask its weights:

* "in": what reads a dimension masks it, what writes it does not. A survival then enters
  once. Entries that are not kept hold values that nobody reads.
* "both": the combi-superposition of arXiv:2312.10440. An entry is shrunk twice or more
  between two layers, as survival^2.

With one-hot probabilities both are the sliced network.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from swajax.tangle.layers import masks, patches
from swajax.types import Key

Sides = Literal["in", "both"]

PATCH_PIXELS = 256  # of an image, up to which patches are faster


def linear(
    x: Float[Array, "N I"],
    weight: Float[Array, "I O"],
    bias: Float[Array, " O"],
    *,
    keep_in: Float[Array, " I"],
    keep_out: Float[Array, " O"],
    sides: Sides = "in",
) -> Float[Array, "N O"]:
    """An affine map; a classifier, whose outputs are all kept, masks its bias not."""
    keep_out = output_mask(keep_out, sides)
    return x @ (masks.outer(keep_in, keep_out) * weight) + (keep_out * bias)[None]


def conv(
    x: Float[Array, "N Y X I"],
    weight: Float[Array, "S S I O"],
    bias: Float[Array, " O"],
    *,
    keep_kernel: Float[Array, "S S"],
    keep_in: Float[Array, " I"],
    keep_out: Float[Array, " O"],
    sides: Sides = "in",
) -> Float[Array, "N Y X O"]:
    """A convolution of stride 1, padded to the same size as its largest kernel is."""
    keep_out = output_mask(keep_out, sides)
    mask = masks.outer(keep_kernel, keep_in, keep_out)
    return convolve(x, mask * weight) + (keep_out * bias)[None, None, None]


def convolve(
    x: Float[Array, "N Y X I"], weight: Float[Array, "S S I O"]
) -> Float[Array, "N Y X O"]:
    """The plain convolution, padded to the same size."""
    is_patched = patches.are_faster(x.shape[1] * x.shape[2], PATCH_PIXELS)
    return patches.convolve(x, weight, is_patched=is_patched)


def split_blocks(
    x: Float[Array, "N Y X C"], side: int
) -> Float[Array, "N V side U side C"]:
    """Squares of so many pixels along a side: V rows of U squares."""
    num, height, width, channels = x.shape
    return x.reshape(num, height // side, side, width // side, side, channels)


def embedding(
    ids: Integer[Array, "*N"], table: Float[Array, "V E"], *, keep: Float[Array, " E"]
) -> Float[Array, "*N E"]:
    """Rows of a table of tokens or positions, by columns that are kept.

    It writes only: with masks on the side of readers give it ones.
    """
    return (keep[None] * table)[ids]


def mix_depths(
    states: Float[Array, "L ..."],
    probabilities: Float[Array, " K"],
    depths: Sequence[int],
) -> Float[Array, "..."]:
    """What the layers above see if the network ends after one of several depths.

    Args:
      states: after each layer.
      probabilities: of the depths.
      depths: candidates; each of them 1..L.
    """
    chosen = states[jnp.asarray(depths) - 1]
    return jnp.tensordot(probabilities, chosen, axes=1)


def mix_operations(
    outputs: Sequence[Float[Array, "*S"]], probabilities: Float[Array, " K"]
) -> Float[Array, "*S"]:
    """Operations that share no weights, activations for one: their outputs, mixed."""
    return sum(out * share for out, share in zip(outputs, probabilities, strict=True))


def output_mask(keep: Float[Array, " C"], sides: Sides) -> Float[Array, " C"]:
    """The mask of what is written: the survival, or ones where only readers mask."""
    return keep if sides == "both" else jnp.ones_like(keep)


def draw_affine(
    key: Key, shape: tuple[int, ...]
) -> tuple[Float[Array, "..."], Float[Array, " O"]]:
    """Normal weights of variance 2 / fan in, inputs first, outputs last; no bias."""
    weight = jax.nn.initializers.he_normal()(key, shape)
    return weight, jnp.zeros(shape[-1])
