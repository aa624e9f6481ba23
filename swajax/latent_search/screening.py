"""Screening of starts: keep the best of every K."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.latent_search.candidates import over_depths
from swajax.latent_search.config import Data, DescentConfig, Point
from swajax.latent_search.losses import loss_fn
from swajax.latent_search.spaces import Space


def screen(
    starts: Any, params: Any, data: Data, *, space: Space, config: DescentConfig
) -> tuple[Any, Float[Array, "D R"]]:
    """Return the best of every K starts, z [D, R, Z], and their errors.

    Most random networks are far from given data, often where gradients vanish;
    evaluating a start is much cheaper than a descent from it.
    """

    def mse(points: Point, *, depth: int) -> Float[Array, " B"]:
        free = jnp.zeros_like(points.threshold)
        static = {"space": space, "config": config, "depth": depth}
        return loss_fn(points, free, params, data.x, data.y, **static)

    first = jax.tree.leaves(starts)[0]
    num_screened, num_depths = config.num_screened, space.spec.max_depth
    lead = (num_depths, first.shape[0] // num_screened, num_screened)
    z = jax.tree.map(
        lambda leaf: jnp.broadcast_to(
            leaf.reshape(*lead[1:], *leaf.shape[1:]), (*lead, *leaf.shape[1:])
        ),
        starts,
    )
    errors = over_depths(
        mse,
        (Point(z, jnp.zeros(lead, first.dtype)),),
        num_depths=num_depths,
        max_block=max(1, config.block_size // data.x.shape[0]),
    )
    errors = jnp.where(jnp.isfinite(errors), errors, jnp.inf)
    kept = jnp.argmin(errors, axis=2, keepdims=True)

    def take(leaf: Array) -> Array:
        index = kept.reshape(*kept.shape, *[1] * (leaf.ndim - 3))
        return jnp.take_along_axis(leaf, index, axis=2)[:, :, 0]

    return jax.tree.map(take, (z, errors))
