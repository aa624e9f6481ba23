"""The search from start to end on the host, and what it has found."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from swajax.batched import apply_batch
from swajax.latent_search.blocks import over_depths
from swajax.latent_search.config import (
    Data,
    Point,
    SearchConfig,
    Space,
    make_optimizer,
)
from swajax.latent_search.losses import make_hard_networks
from swajax.latent_search.state import SearchState, chunk, init
from swajax.network import count_neurons, count_weights, simplify
from swajax.objectives import losses
from swajax.types import Network


class SearchResult(NamedTuple):
    """The picked start of each depth and sparsity weight; leaves lead with [D, S]."""

    network: Network  # hard-thresholded
    point: Point
    start: Int[Array, "*B D S"]
    objective: Float[Array, "*B D S"]  # of validation, with penalty: what it won by
    train_mse: Float[Array, "*B D S"]
    valid_mse: Float[Array, "*B D S"]
    num_weights_raw: Int[Array, "*B D S"]
    num_weights: Int[Array, "*B D S"]  # effective: of the simplified network
    num_neurons: Int[Array, "*B D S"]  # effective


class Progress(NamedTuple):
    """What the callback of `run` sees after each chunk, on the host."""

    step: int
    num_steps: int
    seconds: float
    best_loss: Float[np.ndarray, "D S"]  # lowest of the starts
    objective: Float[np.ndarray, "D S"]  # of validation, lowest of the starts


def run(
    starts: Any,
    params: Any,
    data: Data | Callable[[int], Data],
    *,
    space: Space,
    config: SearchConfig,
    optimizer: optax.GradientTransformation | None = None,
    callback: Callable[[Progress], None] | None = None,
    time_budget: float | None = None,
) -> tuple[SearchResult, SearchState]:
    """Search to the end, the time budget or Ctrl-C, and collect the best.

    Args:
      starts: of `make_starts`, or any other z, [R K, Z], K = `config.num_screened`.
      params: of the decoders; they stay as they are.
      data: training and validation part, scaled to about unit size; or mini-batches, a
        function of the number of the chunk, from 0, that gives data of equal shapes.
      space: decoders and family of networks.
      config: of the search.
      optimizer: acts on the `Point` of one candidate; default of the configuration.
      callback: called after each chunk.
      time_budget: seconds, compilation included, after which no chunk begins.

    Raises:
      ValueError: no candidate has a finite error.
      KeyboardInterrupt: Ctrl-C came before the first chunk had ended.
    """
    begin = time.monotonic()
    optimizer = optimizer or make_optimizer(config)
    static = {"space": space, "config": config}
    draw = data if callable(data) else lambda _: data
    state = _init(starts, params, draw(0), optimizer=optimizer, **static)
    num_chunks = -(-config.num_steps // config.chunk_steps)
    lowest = None
    try:
        for index in range(1, num_chunks + 1):
            # Not donated: the state is small, and Ctrl-C may come before the new one.
            batch = draw(index)
            state = _chunk(state, params, batch, optimizer=optimizer, **static)
            lowest = jax.device_get(_lowest(state))
            seconds = time.monotonic() - begin
            if callback is not None:
                steps = (index * config.chunk_steps, num_chunks * config.chunk_steps)
                callback(Progress(*steps, seconds, *lowest))
            if time_budget is not None and seconds >= time_budget:
                break
    except KeyboardInterrupt:
        if lowest is None:
            raise
    if not np.isfinite(lowest[1]).any():
        raise ValueError(
            "no candidate has a finite error: data or parameters of the decoders "
            "hold infinite or huge numbers"
        )
    return _collect(state, params, draw(0), **static), state


def collect(
    state: SearchState, params: Any, data: Data, *, space: Space, config: SearchConfig
) -> SearchResult:
    """For each depth and sparsity weight the start with the best validation."""
    start = jnp.argmin(state.picked_objective, axis=-1).astype(jnp.int32)

    def take(leaf: Array) -> Array:
        index = start.reshape(*start.shape, *[1] * (leaf.ndim - 2))
        return jnp.take_along_axis(leaf, index, axis=2)

    num_train = data.x.shape[0]
    x = jnp.concatenate([data.x, data.x_valid])
    y = jnp.concatenate([data.y, data.y_valid])
    activations = space.spec.activations
    simplify_fn = functools.partial(simplify, activations=activations)

    def describe(points: Point, *, depth: int) -> dict[str, Any]:
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
        describe,
        (point,),
        num_depths=space.spec.max_depth,
        max_block=max(1, config.block_size // x.shape[0]),
    )
    found = jax.tree.map(
        lambda leaf: leaf[:, :, 0], found | {"point": point, "objective": objective}
    )
    return SearchResult(start=start, **found)


_STATIC = ("space", "config", "optimizer")
_init = jax.jit(init, static_argnames=_STATIC)
_chunk = jax.jit(chunk, static_argnames=_STATIC)
_collect = jax.jit(collect, static_argnames=("space", "config"))


@jax.jit
def _lowest(state: SearchState) -> tuple[Array, Array]:
    return state.best_loss.min(axis=-1), state.picked_objective.min(axis=-1)
