"""Masked affine layers, and mixtures of depths and operations.

The arguments `keep_in` and `keep_out` of a layer are the probabilities that the entries
it reads and writes are kept (see `masks.keep_probability`). `masking` selects which of
them mask its weights:

* "input": only the layer that reads a dimension masks it, so each keep probability
  enters once. Absent entries hold values that no layer reads.
* "both": the combi-superposition of arXiv:2312.10440. An entry between two layers is
  masked at least twice and shrinks with the square of its keep probability.

With one-hot probabilities, both equal the sliced network.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from swajax.tangle.layers import masks, patches
from swajax.types import Key

Masking = Literal["input", "both"]

PATCH_PIXELS = 256  # largest image for which patches are faster


def linear(
    x: Float[Array, "N I"],
    weight: Float[Array, "I O"],
    bias: Float[Array, " O"],
    *,
    keep_in: Float[Array, " I"],
    keep_out: Float[Array, " O"],
    masking: Masking = "input",
) -> Float[Array, "N O"]:
    """Apply an affine map; a classifier passes ones as `keep_out`."""
    keep_out = output_mask(keep_out, masking)
    return x @ (masks.outer(keep_in, keep_out) * weight) + (keep_out * bias)[None]


def conv(
    x: Float[Array, "N Y X I"],
    weight: Float[Array, "S S I O"],
    bias: Float[Array, " O"],
    *,
    keep_kernel: Float[Array, "S S"],
    keep_in: Float[Array, " I"],
    keep_out: Float[Array, " O"],
    masking: Masking = "input",
) -> Float[Array, "N Y X O"]:
    """Apply a convolution of stride 1 with the padding of its largest kernel."""
    keep_out = output_mask(keep_out, masking)
    mask = masks.outer(keep_kernel, keep_in, keep_out)
    return convolve(x, mask * weight) + (keep_out * bias)[None, None, None]


def convolve(
    x: Float[Array, "N Y X I"], weight: Float[Array, "S S I O"]
) -> Float[Array, "N Y X O"]:
    """Apply a plain convolution, padded to the same size."""
    is_patched = patches.are_faster(x.shape[1] * x.shape[2], PATCH_PIXELS)
    return patches.convolve(x, weight, is_patched=is_patched)


def split_blocks(
    x: Float[Array, "N Y X C"], side: int
) -> Float[Array, "N V side U side C"]:
    """Split images into V rows of U squares with `side` pixels along a side."""
    num, height, width, channels = x.shape
    return x.reshape(num, height // side, side, width // side, side, channels)


def embedding(
    ids: Integer[Array, "*N"], table: Float[Array, "V E"], *, keep: Float[Array, " E"]
) -> Float[Array, "*N E"]:
    """Look up rows of a table of tokens or positions, with its columns masked.

    An embedding reads no chosen dimension: with masking="input", pass ones as `keep`.
    """
    return (keep[None] * table)[ids]


def mix_depths(
    states: Float[Array, "L ..."],
    probabilities: Float[Array, " K"],
    depths: Sequence[int],
) -> Float[Array, "..."]:
    """Mix the states of all layers that may be the last.

    Args:
      states: state after each layer.
      probabilities: probabilities of the candidate depths.
      depths: candidate depths, each in 1..L.
    """
    chosen = states[jnp.asarray(depths) - 1]
    return jnp.tensordot(probabilities, chosen, axes=1)


def mix_operations(
    outputs: Sequence[Float[Array, "*S"]], probabilities: Float[Array, " K"]
) -> Float[Array, "*S"]:
    """Mix the outputs of operations that share no weights, such as activations."""
    return sum(out * share for out, share in zip(outputs, probabilities, strict=True))


def output_mask(keep: Float[Array, " C"], masking: Masking) -> Float[Array, " C"]:
    """Return the mask of the written entries: ones with masking="input"."""
    return keep if masking == "both" else jnp.ones_like(keep)


def draw_affine(
    key: Key, shape: tuple[int, ...]
) -> tuple[Float[Array, "..."], Float[Array, " O"]]:
    """Draw normal weights [..., from, to] of variance 2 / fan in; biases are 0."""
    weight = jax.nn.initializers.he_normal()(key, shape)
    return weight, jnp.zeros(shape[-1])
