"""Starting points of a learned space other than encoded networks."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from swajax.latent_search.spaces import TabularPoint
from swajax.types import Key

Starts = Literal["encoded", "noise", "uniform"]


def redraw(key: Key, points: Any, starts: Starts) -> Any:
    """Return the points, or random ones of the same shapes.

    Args:
      key: consumed.
      points: encoded networks.
      starts: "encoded" keeps the points; "noise" draws each coordinate from a normal
        distribution with the mean and deviation of the points; "uniform" draws from
        [0, 1), as arXiv:2410.08339 does.
    """
    if starts == "encoded":
        return points
    if isinstance(points, TabularPoint):  # keep the size
        embedding = redraw(key, points.embedding, starts)
        return points._replace(embedding=embedding)
    leaves, tree = jax.tree.flatten(points)
    drawn = []
    for leaf, own_key in zip(leaves, jax.random.split(key, len(leaves)), strict=True):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            drawn.append(leaf)
        elif starts == "uniform":
            drawn.append(jax.random.uniform(own_key, leaf.shape, leaf.dtype))
        else:
            mean, std = (
                leaf.mean(axis=0, keepdims=True),
                leaf.std(axis=0, keepdims=True),
            )
            drawn.append(
                mean + std * jax.random.normal(own_key, leaf.shape, leaf.dtype)
            )
    return jax.tree.unflatten(tree, drawn)
