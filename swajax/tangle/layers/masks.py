"""Weight entanglement as masks: W_eff = M * W.

Superposition (arXiv:2312.10440, section 3) sums the slices of all options, each padded
with zeros to the largest option and weighted by its probability. The slices are nested,
so the sum is one product with M, the probability that each entry is kept; with several
choices on one weight, M is the product over the choices (combi-superposition). One-hot
probabilities make M binary, which gives the sliced network at static shapes.

Letters: K options of a choice, C the size of its largest option.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def prefix(sizes: Sequence[int]) -> Bool[np.ndarray, "K C"]:
    """Flag the first entries (channels, neurons or heads) that each size keeps.

    Example:
      >>> prefix((1, 3)).astype(int)
      array([[1, 0, 0],
             [1, 1, 1]])
    """
    _check_sizes(sizes)
    return np.arange(max(sizes))[None] < np.asarray(sizes)[:, None]


def centre(sizes: Sequence[int]) -> Bool[np.ndarray, "K C C"]:
    """Flag the centre of a square kernel that each size keeps.

    Raises:
      ValueError: odd and even sizes have no common centre.
    """
    _check_sizes(sizes)
    if len({size % 2 for size in sizes}) > 1:
        raise ValueError(
            f"kernel sizes {tuple(sizes)} do not nest: all must be odd, or all even"
        )
    along = np.stack([_middle(size, max(sizes)) for size in sizes])
    return along[:, :, None] & along[:, None, :]


def prefix_product(
    sizes: Sequence[int], ratios: Sequence[float | int]
) -> Bool[np.ndarray, "K J C"]:
    """Flag the first size * ratio entries, which each pair of options keeps.

    Args:
      sizes: options of one choice.
      ratios: options of another choice, which scale the sizes.

    Raises:
      ValueError: a product is not a whole number.
    """
    _check_sizes(sizes)
    widths = np.asarray(sizes)[:, None] * np.asarray(ratios)
    if (widths != np.round(widths)).any() or (widths < 1).any():
        raise ValueError(
            f"sizes {tuple(sizes)} times ratios {tuple(ratios)} do not nest: they must "
            "be whole numbers >= 1"
        )
    return np.arange(int(widths.max())) < widths[:, :, None]


def keep_probability(
    probabilities: Float[Array, "*R K"], table: Bool[np.ndarray, "K ..."]
) -> Float[Array, "..."]:
    """Return the probability that each entry is kept.

    Args:
      probabilities: probabilities of the options; leading axes of rows are kept.
      table: entries that each option keeps.

    Returns:
      Per entry the sum of the probabilities of the options that keep it, in 0..1.

    Example:
      >>> p = jnp.asarray([0.25, 0.75])
      >>> keep_probability(p, prefix((1, 3))).tolist()
      [1.0, 0.75, 0.75]
    """
    return jnp.tensordot(probabilities, table.astype(probabilities.dtype), axes=1)


def outer(*keep: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return the mask of a weight whose axes follow different choices.

    Args:
      keep: keep probabilities per axis of the weight, or per group of axes, in order.
    """
    return functools.reduce(functools.partial(jnp.tensordot, axes=0), keep)


def ratio_mask(
    sizes: Float[Array, " K"],
    ratios: Float[Array, " J"],
    size_table: Bool[np.ndarray, "K C"],
    product_table: Bool[np.ndarray, "K J D"],
) -> Float[Array, "C D"]:
    """Return the mask of a weight whose second axis scales with the first.

    An option keeps `size` entries of the C axis and `size * ratio` of the D axis, so
    the mask is not an outer product.

    Args:
      sizes: probabilities of the choice of sizes, which both axes follow.
      ratios: probabilities of the choice of ratios.
      size_table: table from `prefix`.
      product_table: table from `prefix_product`.
    """
    tables = (table.astype(sizes.dtype) for table in (size_table, product_table))
    return jnp.einsum("k,j,kc,kjd->cd", sizes, ratios, *tables)


def _check_sizes(sizes: Sequence[int]) -> None:
    if any(int(size) != size or size < 0 for size in sizes) or max(sizes) < 1:
        raise ValueError(f"sizes must be whole numbers >= 0, not all 0, got {sizes}")


def _middle(size: int, largest: int) -> Bool[np.ndarray, " C"]:
    """Flag the middle `size` of `largest` entries."""
    start = (largest - size) // 2
    index = np.arange(largest)
    return (index >= start) & (index < start + size)
