"""Which weights the options of a choice keep, as masks: W_eff = M * W.

Superposition (arXiv:2312.10440, section 3) sums the slices of all options, each padded
with zeros to the largest and weighted by its probability. The slices are nested, so
that sum is one product with the probability that an entry is kept, its survival; with
several choices on one weight, the product over choices (combi-superposition). A
one-hot probability makes a mask of zeros and ones: the sliced network, at static shape.

Letters: K options of a choice, C the size of its largest option.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def prefix(sizes: Sequence[int]) -> Bool[np.ndarray, "K C"]:
    """What sizes keep of channels, neurons, heads or features: the first ones."""
    _check_sizes(sizes)
    return np.arange(max(sizes))[None] < np.asarray(sizes)[:, None]


def centre(sizes: Sequence[int]) -> Bool[np.ndarray, "K C C"]:
    """What sizes keep of a square kernel: its centre.

    Raises:
      ValueError: odd and even sizes have no common centre.
    """
    _check_sizes(sizes)
    if len({size % 2 for size in sizes}) > 1:
        raise ValueError(
            f"kernel sizes {tuple(sizes)} do not nest: all must be odd, or all even"
        )
    along = np.stack([_run(size, max(sizes)) for size in sizes])
    return along[:, :, None] & along[:, None, :]


def prefix_product(
    sizes: Sequence[int], ratios: Sequence[float | int]
) -> Bool[np.ndarray, "K J C"]:
    """What a width keeps that is a ratio of another choice: the first size * ratio.

    Raises:
      ValueError: a product is not whole.
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
    """Probability that an entry is kept: sum of those of the options that keep it.

    Rows of probabilities, if any, lead.
    """
    return jnp.tensordot(probabilities, table.astype(probabilities.dtype), axes=1)


def outer(*survivals: Float[Array, "..."]) -> Float[Array, "..."]:
    """The mask of a weight whose axes belong to different choices.

    Args:
      survivals: one an axis of the weight, or a group of axes, in their order.
    """
    return functools.reduce(functools.partial(jnp.tensordot, axes=0), survivals)


def ratio_mask(
    sizes: Float[Array, " K"],
    ratios: Float[Array, " J"],
    size_table: Bool[np.ndarray, "K C"],
    product_table: Bool[np.ndarray, "K J D"],
) -> Float[Array, "C D"]:
    """The mask of a weight one axis of which depends on the other's choice.

    It is no outer product: the D axis has size * ratio entries, the C axis size.

    Args:
      sizes: probabilities of the choice of sizes, which both axes depend on.
      ratios: probabilities of the choice of ratios.
      size_table: of `prefix`.
      product_table: of `prefix_product`.
    """
    tables = (table.astype(sizes.dtype) for table in (size_table, product_table))
    return jnp.einsum("k,j,kc,kjd->cd", sizes, ratios, *tables)


def _check_sizes(sizes: Sequence[int]) -> None:
    if any(int(size) != size or size < 0 for size in sizes) or max(sizes) < 1:
        raise ValueError(f"sizes must be whole numbers >= 0, not all 0, got {sizes}")


def _run(size: int, largest: int) -> Bool[np.ndarray, " C"]:
    """Where the middle `size` of so many places are."""
    start = (largest - size) // 2
    place = np.arange(largest)
    return (place >= start) & (place < start + size)
