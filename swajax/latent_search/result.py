"""Networks found by a descent."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from swajax.latent_search.candidates import over_depths
from swajax.latent_search.config import Data, DescentConfig, Point
from swajax.latent_search.losses import make_hard_networks
from swajax.latent_search.spaces import Space
from swajax.latent_search.state import DescentState
from swajax.network import count_neurons, count_weights, simplify
from swajax.network.batched import apply_batch
from swajax.objectives import losses
from swajax.types import Network


class DescentResult(NamedTuple):
    """Best start of each depth and sparsity weight; leaves [D, S, ...]."""

    network: Network  # hard-thresholded networks
    point: Point
    start: Int[Array, "*B D S"]
    objective: Float[
        Array, "*B D S"
    ]  # validation error plus penalty; the best start has the lowest
    train_mse: Float[Array, "*B D S"]
    valid_mse: Float[Array, "*B D S"]
    num_weights_raw: Int[Array, "*B D S"]
    num_weights: Int[Array, "*B D S"]  # of the simplified network
    num_neurons: Int[Array, "*B D S"]  # of the simplified network


def collect(
    state: DescentState, params: Any, data: Data, *, space: Space, config: DescentConfig
) -> DescentResult:
    """Return the start with the best validation of each depth and sparsity weight.

    Args:
      state: from `chunk` or `descend`.
      params: parameters of the decoders.
      data: training and validation rows.
      space: decoders and family of networks.
      config: settings of the descent.
    """
    start = jnp.argmin(state.picked_objective, axis=-1).astype(jnp.int32)

    def take(leaf: Array) -> Array:
        index = start.reshape(*start.shape, *[1] * (leaf.ndim - 2))
        return jnp.take_along_axis(leaf, index, axis=2)

    num_train = data.x.shape[0]
    x = jnp.concatenate([data.x, data.x_valid])
    y = jnp.concatenate([data.y, data.y_valid])
    activations = space.spec.activations
    simplify_fn = functools.partial(simplify, activations=activations)

    def evaluate(points: Point, *, depth: int) -> dict[str, Any]:
        networks = make_hard_networks(points, params, space=space, depth=depth)
        out = apply_batch(networks, x, activations=activations, depth=depth)
        each = functools.partial(losses, objective=space.objective)
        error = jax.vmap(each, in_axes=(0, None))(out.mT, y.T)
        live = jax.vmap(simplify_fn)(networks)
        return {
            "network": networks,
            "train_mse": error[:, :num_train].mean(axis=1),
            "valid_mse": error[:, num_train:].mean(axis=1),
            "num_weights_raw": jax.vmap(count_weights)(networks),
            "num_weights": jax.vmap(count_weights)(live),
            "num_neurons": jax.vmap(count_neurons)(live),
        }

    point, objective = jax.tree.map(take, (state.picked, state.picked_objective))
    found = over_depths(
        evaluate,
        (point,),
        num_depths=space.spec.max_depth,
        max_block=max(1, config.block_size // x.shape[0]),
    )
    found = jax.tree.map(
        lambda leaf: leaf[:, :, 0], found | {"point": point, "objective": objective}
    )
    return DescentResult(start=start, **found)


def harden(points: Point, params: Any, *, space: Space) -> Network:
    """Return the hard-thresholded networks of all candidates, on the host.

    Args:
      points: leaves [D, S, R, ...], as `DescentState.picked`.
      params: parameters of the decoders.
      space: decoders and family of networks.

    Returns:
      Networks with leaves [D S R, ...].
    """
    networks = [
        _harden_depth(points, params, space=space, depth=depth + 1)
        for depth in range(space.spec.max_depth)
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *networks)


@functools.partial(jax.jit, static_argnames=("space", "depth"))
def _harden_depth(points: Point, params: Any, *, space: Space, depth: int) -> Network:
    """Return the networks [S R, ...] of one decoder."""
    of_depth = jax.tree.map(
        lambda leaf: leaf[depth - 1].reshape(-1, *leaf.shape[3:]), points
    )
    return make_hard_networks(of_depth, params, space=space, depth=depth)
