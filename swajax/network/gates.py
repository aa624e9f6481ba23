"""Soft and hard gates on masks and weights, each with a declared gradient rule."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from swajax.types import Network

ABSENT_SCORE = -1e9  # score of a weight that can never be active


@jax.custom_jvp
def binarize(probability: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """Round a gate to 0 or 1 with a straight-through gradient.

    Forward: 1 where `probability` > 0.5, else 0 (also for NaN).
    Gradient: straight-through, that of the identity. The gradient of plain rounding, as
    in arXiv:2410.08339, is 0, so that it never optimizes the width of a network.
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
    """Shrink weights below a threshold towards zero; keep the others.

    Forward: W sigmoid(sharpness (|W| - t)) (arXiv:2410.08339, search).
    Gradient: the exact one, in W and in t.
    """
    return weights * jax.nn.sigmoid(sharpness * (jnp.abs(weights) - threshold))


def hard_threshold(
    weights: Float[Array, "*S"], threshold: Float[Array, ""] | float
) -> Float[Array, "*S"]:
    """Remove weights below a threshold: the limit of `soft_threshold`.

    Forward: 0 where |W| < t, else W.
    Gradient: 1 for kept and 0 for removed weights; 0 for t.
    """
    return jnp.where(jnp.abs(weights) < threshold, jnp.zeros_like(weights), weights)


def top_k_gates(
    scores: Float[Array, " P"],
    num_active: Float[Array, ""] | int,
    *,
    order: Float[Array, " P"] | None = None,
) -> Float[Array, " P"]:
    """Activate exactly K gates: 1 for the K largest scores, else 0.

    Forward: among equal values the first ones are active.
    Gradient: that of sigmoid(score - limit), where the limit is the K-th largest value
    and constant.

    Args:
      scores: one per gate.
      num_active: K; rounded, and at most P.
      order: values that decide which gates are active, instead of the scores.

    Example:
      >>> top_k_gates(jnp.array([0.3, 2.0, 1.0]), 2).round().tolist()
      [0.0, 1.0, 1.0]
    """
    num_active = jnp.round(num_active)
    order = jax.lax.stop_gradient(scores if order is None else order)
    limit = kth_largest(order, num_active)
    is_above, is_limit = order > limit, order == limit
    is_early = jnp.cumsum(is_limit) <= num_active - is_above.sum()
    is_active = (is_above | (is_limit & is_early)).astype(scores.dtype)
    soft = jax.nn.sigmoid(scores - limit)
    return is_active + (soft - jax.lax.stop_gradient(soft))


def kth_largest(
    values: Float[Array, " P"], rank: Float[Array, ""] | Int[Array, ""] | int
) -> Float[Array, ""]:
    """Return the value of a rank, 1 for the largest; the rank is clipped to 1..P.

    The bits of the numbers, which have the same order, are bisected: under `vmap` on
    CPU this is much faster than sorting.
    """
    bits = jax.lax.bitcast_convert_type(values.astype(jnp.float32), jnp.int32)
    # The bits of negative numbers ascend from the largest to the smallest number.
    ordered = jnp.where(bits < 0, bits ^ jnp.int32(2**31 - 1), bits)
    rank = jnp.clip(rank, 1, len(values))

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends  # the value is in low..high
        middle = (low >> 1) + (high >> 1) + ((low | high) & 1)
        is_in_upper = (ordered >= middle).sum() >= rank
        return jnp.where(is_in_upper, middle, low), jnp.where(
            is_in_upper, high, middle - 1
        )

    ends = jnp.int32(-(2**31)), jnp.int32(2**31 - 1)
    low, _ = jax.lax.fori_loop(0, 32, halve, ends)
    found = jnp.where(low < 0, low ^ jnp.int32(2**31 - 1), low)
    return jax.lax.bitcast_convert_type(found, jnp.float32).astype(values.dtype)


def bottlenecks(scores: Network, *, depth: int) -> Network:
    """Find the best path from an input to an output through each weight.

    The quality of a path is its smallest score. If weights are activated in descending
    order of the result, each active weight lies on an active path, unless a limit on
    the number of weights cuts the order short. A bias needs a path through its neuron;
    the bias of an output needs none.

    Args:
      scores: one score in place of each weight and bias; very low for those that can
        never be active.
      depth: number of layers to consider; the others keep their scores.

    Returns:
      The smallest score on the best path, in place of each weight and bias.
    """
    between = scores.hidden[: depth - 1]
    forward = [scores.first.max(axis=0)]  # best path from an input to each neuron
    for weights in between:
        forward.append(jnp.minimum(weights, forward[-1][:, None]).max(axis=0))
    backward = [scores.readout.max(axis=1)]  # best path from each neuron to an output
    for weights in between[::-1]:
        backward.insert(0, jnp.minimum(weights, backward[0][None]).max(axis=1))
    forward, backward = jnp.stack(forward), jnp.stack(backward)
    through = jnp.minimum(forward[:-1, :, None], backward[1:, None])
    return scores._replace(
        first=jnp.minimum(scores.first, backward[0][None]),
        hidden=scores.hidden.at[: depth - 1].min(through),
        readout=jnp.minimum(scores.readout, forward[-1][:, None]),
        bias=scores.bias.at[:depth].min(jnp.minimum(forward, backward)),
    )


def choose(logits: Float[Array, "*S A"]) -> Float[Array, "*S A"]:
    """Choose the largest logit: one-hot, with a straight-through gradient.

    Forward: one-hot of the argmax.
    Gradient: that of the softmax.
    """
    soft = jax.nn.softmax(logits)
    hard = jax.nn.one_hot(logits.argmax(axis=-1), logits.shape[-1])
    return hard + (soft - jax.lax.stop_gradient(soft))
