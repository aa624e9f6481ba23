"""The state of a pretraining and its pure steps: init, step, chunk."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding
from jaxtyping import Array, Int

from swajax import autoencoder
from swajax.pretrain import batches_by_depth, batches_tabular
from swajax.pretrain.config import PretrainingConfig
from swajax.pretrain.losses import Metrics
from swajax.types import Key


class PretrainingState(NamedTuple):
    """All that a step changes; `key` stays and is folded with `step`."""

    params: Any
    opt_state: optax.OptState
    step: Int[Array, ""]
    key: Key


def init(
    key: Key, *, config: PretrainingConfig, optimizer: optax.GradientTransformation
) -> PretrainingState:
    """Fresh state; `key` is consumed."""
    init_key, key = jax.random.split(key)
    params = autoencoder.init(init_key, config=config.autoencoder)
    step = jnp.zeros((), jnp.int32)
    return PretrainingState(params, optimizer.init(params), step, key)


def step(
    state: PretrainingState,
    *,
    config: PretrainingConfig,
    optimizer: optax.GradientTransformation,
    sharding: NamedSharding | None = None,
) -> tuple[PretrainingState, Metrics]:
    """One optimizer step on a fresh batch, split over devices by `sharding`."""
    key = jax.random.fold_in(state.key, state.step)
    network_key, point_key = jax.random.split(key)
    model, num = config.autoencoder, config.batch_size
    if model.preset == "tabular":
        sample, batch_loss = batches_tabular.sample_batch, batches_tabular.batch_loss
    else:
        sample, batch_loss = batches_by_depth.sample_groups, batches_by_depth.batch_loss
    batch = sample(network_key, num, config=model, sharding=sharding)
    shape = (config.num_points, model.spec.num_inputs)
    x = jax.random.uniform(point_key, shape, minval=-1.0)
    grads, metrics = jax.grad(batch_loss, has_aux=True)(
        state.params, batch, x, config=config
    )
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    return PretrainingState(params, opt_state, state.step + 1, state.key), metrics


def chunk(
    state: PretrainingState,
    *,
    num_steps: int,
    config: PretrainingConfig,
    optimizer: optax.GradientTransformation,
    sharding: NamedSharding | None = None,
) -> tuple[PretrainingState, Metrics]:
    """`num_steps` steps as one scan; metrics come a row a step."""

    def body(state: PretrainingState, _: None) -> tuple[PretrainingState, Metrics]:
        return step(state, config=config, optimizer=optimizer, sharding=sharding)

    return jax.lax.scan(body, state, None, length=num_steps)
