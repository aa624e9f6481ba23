"""Soft and hard decisions on masks and weights, with the gradient each one declares."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_jvp
def binarize(probability: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """Round a gate to 0 or 1, differentiable as if it were not rounded.

    Forward: 1 where `probability` > 0.5, else 0 (also for NaN).
    Gradient: straight-through, that of the identity. Plain rounding has none, so the
    width of a network would never be optimized (arXiv:2410.08339 rounds plainly).
    """
    return (probability > 0.5).astype(probability.dtype)


@binarize.defjvp
def _binarize_jvp(
    primals: tuple[Float[Array, "*S"]], tangents: tuple[Float[Array, "*S"]]
) -> tuple[Float[Array, "*S"], Float[Array, "*S"]]:
    return binarize(*primals), tangents[0]


def soft_threshold(
    weights: Float[Array, "*S"],
    threshold: Float[Array, ""] | float,
    *,
    sharpness: float = 100.0,
) -> Float[Array, "*S"]:
    """Shrink weights below a threshold towards zero and let the others pass.

    Forward: W sigmoid(sharpness (|W| - t)) (arXiv:2410.08339, search).
    Gradient: the true one, in W and in t.
    """
    return weights * jax.nn.sigmoid(sharpness * (jnp.abs(weights) - threshold))


def hard_threshold(
    weights: Float[Array, "*S"], threshold: Float[Array, ""] | float
) -> Float[Array, "*S"]:
    """Remove weights below a threshold: the limit of `soft_threshold`.

    Forward: 0 where |W| < t, else W.
    Gradient: 1 for what is kept and 0 for what is removed; none for t.
    """
    return jnp.where(jnp.abs(weights) < threshold, jnp.zeros_like(weights), weights)
