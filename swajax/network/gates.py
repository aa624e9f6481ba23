"""Soft and hard decisions on masks and weights, with the gradient each one declares."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from swajax.types import Network

NEVER = -1e9  # score of a weight that cannot be open


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


def open_largest(
    scores: Float[Array, " P"],
    num_open: Float[Array, ""] | int,
    *,
    order: Float[Array, " P"] | None = None,
) -> Float[Array, " P"]:
    """Gates, of which exactly so many are open: 1 for the largest scores, else 0.

    Gradient: that of sigmoid(score - limit), the limit being the last open value. Of
    equal values the first ones are open.

    Args:
      scores: of the gates.
      num_open: rounded; at most all.
      order: values by which gates are opened, if not by their scores.
    """
    num_open = jnp.round(num_open)
    order = jax.lax.stop_gradient(scores if order is None else order)
    limit = find_largest(order, num_open)
    is_above, is_limit = order > limit, order == limit
    is_early = jnp.cumsum(is_limit) <= num_open - is_above.sum()
    is_open = (is_above | (is_limit & is_early)).astype(scores.dtype)
    soft = jax.nn.sigmoid(scores - limit)
    return is_open + (soft - jax.lax.stop_gradient(soft))


def find_largest(
    values: Float[Array, " P"], rank: Float[Array, ""] | Int[Array, ""] | int
) -> Float[Array, ""]:
    """The value of this rank, 1 for the largest; rank is kept in 1..P.

    By bisection of the bits, which are ordered as the numbers are: under `vmap` much
    faster on CPU than sorting.
    """
    bits = jax.lax.bitcast_convert_type(values.astype(jnp.float32), jnp.int32)
    # Negative numbers have ascending bits from the least of all.
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
    """The least score on the best path from an input to an output through each weight.

    Opened by these, largest first, weights always lie on open paths, but for what a
    size cuts off: the neurons that open weights connect are opened with them. A bias
    needs a path through its neuron, the bias of an output nothing.

    Args:
      scores: one for each weight in its place; very low where there can be none.
      depth: layers to look at; the others keep their scores.
    """
    between = scores.hidden[: depth - 1]
    forward = [scores.first.max(axis=0)]  # best path from an input to each neuron
    for weights in between:
        forward.append(jnp.minimum(weights, forward[-1][:, None]).max(axis=0))
    backward = [scores.readout.max(axis=1)]  # and from each neuron to an output
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
    """One-hot of the largest, differentiable as if it were a softmax."""
    soft = jax.nn.softmax(logits)
    hard = jax.nn.one_hot(logits.argmax(axis=-1), logits.shape[-1])
    return hard + (soft - jax.lax.stop_gradient(soft))
