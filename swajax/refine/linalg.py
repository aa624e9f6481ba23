"""Inverses of small positive definite matrices, fast under `vmap`.

LAPACK needs one call per matrix, and on CPU a call may wait for the thread it runs on
(calls within a compiled program have deadlocked). These functions turn a batch under
`vmap` into a few batched matrix products.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

BLOCK = 8  # size up to which a matrix is eliminated column by column


def invert(a: Float[Array, "K K"]) -> Float[Array, "K K"]:
    """Invert a symmetric positive definite matrix."""
    factor = invert_root(a)
    return factor.T @ factor


def solve(a: Float[Array, "K K"], b: Float[Array, " K"]) -> Float[Array, " K"]:
    """Solve a x = b for x, with a symmetric positive definite."""
    factor = invert_root(a)
    return factor.T @ (factor @ b)


def invert_root(a: Float[Array, "K K"]) -> Float[Array, "K K"]:
    """Invert the Cholesky factor L of a positive definite matrix a = L L'.

    The matrix is halved recursively. The result is as accurate as that of LAPACK;
    recursion on the inverse of `a` itself loses twice as many digits, all of them at
    condition 1e7 in float64.
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
    """Invert the Cholesky factor by Gaussian elimination of [a, I].

    The elimination is a loop, because XLA would fuse unrolled steps and recompute each
    of them many times.
    """
    size = a.shape[0]

    def body(index: Array, rows: Float[Array, "K 2*K"]) -> Float[Array, "K 2*K"]:
        root = jnp.sqrt(rows[index, index])
        pivot = rows[index] / root
        row = jnp.arange(size)[:, None]
        below = rows - rows[:, index, None] / root * pivot[None]
        return jnp.where(row == index, pivot[None], jnp.where(row > index, below, rows))

    rows = jnp.concatenate([a, jnp.eye(size, dtype=a.dtype)], axis=1)
    return jax.lax.fori_loop(0, size, body, rows)[:, size:]
