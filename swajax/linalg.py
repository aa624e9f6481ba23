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
    """Inverse of a symmetric positive definite matrix, by halves (Schur complement)."""
    size = a.shape[0]
    if size <= BLOCK:
        return _eliminate(a)
    half = size // 2
    cross, corner = a[:half, half:], a[half:, half:]
    inverse = invert(a[:half, :half])
    left = inverse @ cross
    schur = invert(corner - cross.T @ left)
    right = left @ schur
    return jnp.block([[inverse + right @ left.T, -right], [-right.T, schur]])


def _eliminate(a: Float[Array, "K K"]) -> Float[Array, "K K"]:
    """Gauss-Jordan without pivoting.

    A loop: unrolled, XLA fuses the steps and computes each of them many times.
    """
    size = a.shape[0]

    def body(index: Array, rows: Float[Array, "K 2K"]) -> Float[Array, "K 2K"]:
        pivot = rows[index] / rows[index, index]
        others = rows - rows[:, index, None] * pivot[None]
        is_pivot = jnp.arange(size)[:, None] == index
        return jnp.where(is_pivot, pivot[None], others)

    rows = jnp.concatenate([a, jnp.eye(size, dtype=a.dtype)], axis=1)
    return jax.lax.fori_loop(0, size, body, rows)[:, size:]
