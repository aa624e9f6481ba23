"""Mapping of functions over all candidates [D, S, R], in blocks of bounded memory."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool


def over_depths(
    fn: Callable[..., Any], args: tuple[Any, ...], *, num_depths: int, max_block: int
) -> Any:
    """Apply a function of candidates of one depth to candidates of all depths.

    Args:
      fn: maps leaves [B, ...] of candidates of one `depth` to leaves [B, ...]. It is
        traced once per depth, because shapes differ between decoders.
      args: pytrees of candidates with leaves [D, S, R, ...].
      num_depths: number of depths D.
      max_block: maximum number of candidates B per call.

    Returns:
      Results of fn(*args, depth=d) with leaves [D, S, R, ...].
    """
    outs = [
        _in_blocks(
            functools.partial(fn, depth=index + 1),
            jax.tree.map(operator.itemgetter(index), args),
            max_block,
        )
        for index in range(num_depths)
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *outs)


def over_candidates(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Map a function of one candidate over the axes [D, S, R]."""
    return jax.vmap(jax.vmap(jax.vmap(fn)))


def select(condition: Bool[Array, "D S R"], new: Any, old: Any) -> Any:
    """Return `new` for candidates that meet the condition, else `old`."""

    def pick(a: Array, b: Array) -> Array:
        extra = (1,) * (a.ndim - condition.ndim)
        return jnp.where(condition.reshape(*condition.shape, *extra), a, b)

    return jax.tree.map(pick, new, old)


def _in_blocks(fn: Callable[..., Any], args: tuple[Any, ...], max_block: int) -> Any:
    """Return fn(*args) for leaves [S, R, ...], in calls of at most `max_block`."""
    lead = jax.tree.leaves(args)[0].shape[:2]
    num = lead[0] * lead[1]
    num_blocks = -(-num // max_block)
    block = -(-num // num_blocks)
    # Repeated candidates fill up the last block.
    index = np.arange(num_blocks * block).reshape(num_blocks, block) % num
    flat = jax.tree.map(lambda leaf: leaf.reshape(num, *leaf.shape[2:]), args)
    if num_blocks == 1:
        out = fn(*flat)
    else:
        blocks = jax.tree.map(lambda leaf: leaf[index], flat)
        out = jax.lax.map(lambda part: fn(*part), blocks)
        out = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:num], out)
    return jax.tree.map(lambda leaf: leaf.reshape(*lead, *leaf.shape[1:]), out)
