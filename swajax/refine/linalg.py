"""Small positive definite matrices, many at once.

A library routine is one call a matrix, and on CPU it may wait for the thread it runs on
(calls within a compiled program have hung). Here a batch under `vmap` is a few batched
matrix products.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

BLOCK = 8


def invert(a: Float[Array, "K K"]) -> Float[Array, "K K"]:
    """Inverse of a symmetric positive definite matrix."""
    factor = invert_root(a)
    return factor.T @ factor


def solve(a: Float[Array, "K K"], b: Float[Array, " K"]) -> Float[Array, " K"]:
    """The x for which a x = b, with a symmetric positive definite."""
    factor = invert_root(a)
    return factor.T @ (factor @ b)


def invert_root(a: Float[Array, "K K"]) -> Float[Array, "K K"]:
    """Inverse of the Cholesky factor of a positive definite matrix, by halves.

    As exact as the library's. Halves by the inverse of `a` itself are not: they lose
    twice the digits, which leaves none at a condition of 1e7 in float64.
    """
    size = a.shape[0]
    if size <= BLOCK:
        return _eliminate(a)
    half = size // 2
    top = invert_root(a[:half, :half])
    left = a[half:, :half] @ top.T
    corner = invert_root(a[half:, half:] - left @ left.T)
    zeros = jnp.zeros((half, size - half), a.dtype)
    return jnp.block([[top, zeros], [-corner @ (left @ top), corner]])


def _eliminate(a: Float[Array, "K K"]) -> Float[Array, "K K"]:
    """The same by Gauss: what turns `a` into its upper factor.

    A loop: unrolled, XLA fuses the steps and computes each of them many times.
    """
    size = a.shape[0]

    def body(index: Array, rows: Float[Array, "K 2*K"]) -> Float[Array, "K 2*K"]:
        root = jnp.sqrt(rows[index, index])
        pivot = rows[index] / root
        place = jnp.arange(size)[:, None]
        below = rows - rows[:, index, None] / root * pivot[None]
        return jnp.where(
            place == index, pivot[None], jnp.where(place > index, below, rows)
        )

    rows = jnp.concatenate([a, jnp.eye(size, dtype=a.dtype)], axis=1)
    return jax.lax.fori_loop(0, size, body, rows)[:, size:]
