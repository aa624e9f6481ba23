"""Gauss-Newton steps in a learned space through the Jacobian of its decoders."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from swajax.data.problem import Problem
from swajax.latent_search import Space
from swajax.network import pack, unpack
from swajax.refine import linalg
from swajax.refine.quadratic import Fit, active_indices, expand_loss, transpose
from swajax.types import Network

NUM_STEPS = 30
DAMPING_FALL, DAMPING_RISE = 0.5, 4.0


@functools.partial(jax.jit, static_argnames=("space", "depth", "capacity"))
def improve(
    points: Any,
    params: Any,
    problem: Problem,
    *,
    space: Space,
    depth: int,
    capacity: int,
) -> Any:
    """Run Levenberg-Marquardt steps on embeddings.

    With J the Jacobian of the active weights by the embedding, and C, g curvature and
    gradient by the weights, the damped step -(J^T C J + d I)^-1 J^T g equals
    -J^T (C J J^T + d I)^-1 g: a system of the size of the network, not of the
    embedding.

    Args:
      points: [R, ...] of a space.
      params: of its decoders.
      problem: rows to fit.
      space: space of the points.
      depth: of the decoder.
      capacity: largest number of active weights.
    """
    fit = Fit(space.objective, space.spec.activations)
    columns = transpose(problem)

    def one(point: Any) -> Any:
        vector, restore = ravel_pytree(point.embedding)

        def decode(vector: Array) -> Network:
            z = point._replace(embedding=restore(vector))
            return space.decode_fn(params, z, depth)

        def expand(vector: Array) -> tuple[Array, Array, Array]:
            """Return loss, root-weighted Jacobian and gradient at a point."""
            weights, pull = jax.vjp(lambda v: pack(decode(v)), vector)
            network = unpack(weights, decode(vector))
            indices, is_active = active_indices(network, capacity)
            form = expand_loss(network, indices, is_active, columns, fit=fit)
            rows = jax.nn.one_hot(indices, weights.shape[0]) * is_active[:, None]
            jacobian = jax.vmap(lambda row: pull(row)[0])(rows)
            root = _root(form.curvature)
            return form.loss, root.T @ jacobian, jacobian.T @ form.gradient

        def step(_: Array, state: tuple) -> tuple:
            vector, (loss, jacobian, gradient), damping = state
            gram = jacobian @ jacobian.T
            extra = damping * jnp.diagonal(gram).max() + 1e-12
            inner = linalg.solve(gram + extra * jnp.eye(len(gram)), jacobian @ gradient)
            change = -(gradient - jacobian.T @ inner) / extra
            new = expand(vector + change)
            is_better = new[0] < loss
            damping = damping * jnp.where(is_better, DAMPING_FALL, DAMPING_RISE)
            vector, found = jax.tree.map(
                lambda a, b: jnp.where(is_better, a, b),
                (vector + change, new),
                (vector, (loss, jacobian, gradient)),
            )
            return vector, found, jnp.clip(damping, 1e-8, 1e6)

        state = (vector, expand(vector), jnp.asarray(1e-1))
        vector = jax.lax.fori_loop(0, NUM_STEPS, step, state)[0]
        return point._replace(embedding=restore(vector))

    return jax.lax.map(one, points, batch_size=8)


def _root(curvature: Float[Array, "K K"]) -> Float[Array, "K K"]:
    """Return a factor R of the curvature, C + ridge = R R^T."""
    size = jnp.maximum(jnp.diagonal(curvature).max(), 1e-12)
    ridge = 1e-6 * size * jnp.eye(len(curvature))
    return jnp.linalg.cholesky(curvature + ridge)
