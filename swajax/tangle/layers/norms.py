"""Normalisation in a supernet.

Two corrections of arXiv:2312.10440: layer normalisation computes statistics over the
kept channels, so that one-hot probabilities give the sliced network; and a group of
options keeps its probability through a batch normalisation.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

EPSILON = 1e-5


def layer_norm(
    x: Float[Array, "N C"],
    scale: Float[Array, " C"],
    bias: Float[Array, " C"],
    *,
    keep: Float[Array, " C"],
    is_paper_form: bool = False,
) -> Float[Array, "N C"]:
    """Normalise over channels, with scale and bias masked.

    Mean and variance weight the channels by their keep probability. The result is
    masked, so that the next layer reads all channels (`keep_in` of ones), unless
    masking="both".

    Args:
      x: channels last.
      scale: gamma.
      bias: beta.
      keep: keep probabilities of the channels.
      is_paper_form: compute statistics over all channels, absent ones being 0.
    """
    weight = keep
    if is_paper_form:
        weight, x = jnp.ones_like(keep), jnp.where(keep[None] > 0, x, 0.0)
    weight = (weight / weight.sum())[None]
    mean = (weight * x).sum(axis=1, keepdims=True)
    variance = (weight * jnp.square(x - mean)).sum(axis=1, keepdims=True)
    normal = (x - mean) * jax.lax.rsqrt(variance + EPSILON)
    return normal * (keep * scale)[None] + (keep * bias)[None]


def batch_norm(
    x: Float[Array, "*N C"],
    scale: Float[Array, " C"],
    bias: Float[Array, " C"],
    *,
    keep: Float[Array, " C"],
) -> Float[Array, "*N C"]:
    """Normalise each channel by the statistics of the batch, scale and bias masked.

    Args:
      x: channels last.
      scale: gamma; ones for a normalisation without parameters.
      bias: beta.
      keep: keep probabilities of the channels; ones with masking="input".
    """
    axes = tuple(range(x.ndim - 1))
    factor = keep * scale * jax.lax.rsqrt(x.var(axis=axes) + EPSILON)
    shift = keep * bias - x.mean(axis=axes) * factor
    shape = (1,) * (x.ndim - 1) + (-1,)
    return x * factor.reshape(shape) + shift.reshape(shape)


def group_norm_with_mass(
    probabilities: Float[Array, " K"],
    normalised_fn: Callable[[Float[Array, " K"]], Float[Array, "*S"]],
    *,
    is_paper_form: bool = False,
) -> Float[Array, "*S"]:
    """Mix options that share weights and one batch normalisation.

    Normalisation cancels any factor: in the paper's form, `normalised_fn(p)`, only the
    ratios within the group matter, and the group has full scale at any probability.
    Here the weights are superposed with the shares p / mass, and the normalised output
    is multiplied by the mass, the probability of the group.

    Args:
      probabilities: probabilities of the options of the group; their sum is the mass.
      normalised_fn: maps shares to the normalised output of the superposed operation.
      is_paper_form: omit the factor of the mass.
    """
    if is_paper_form:
        return normalised_fn(probabilities)
    mass = probabilities.sum()
    # A group that is not drawn is multiplied by 0. The gradient of its probabilities is
    # then its output at equal shares.
    shares = probabilities / jnp.where(mass > 0, mass, 1.0)
    return mass * normalised_fn(jnp.where(mass > 0, shares, 1 / len(probabilities)))
