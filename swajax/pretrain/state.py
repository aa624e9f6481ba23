"""Pretraining state and its pure functions: init, step, chunk."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding
from jaxtyping import Array, Int

from swajax import autoencoder
from swajax.pretrain.config import PretrainingConfig
from swajax.pretrain.losses import Metrics
from swajax.pretrain.presets import PRESETS
from swajax.types import Key


class PretrainingState(NamedTuple):
    """Parameters and optimizer state; a step folds `step` into the constant `key`."""

    params: Any
    opt_state: optax.OptState
    step: Int[Array, ""]
    key: Key


def init(
    key: Key, *, config: PretrainingConfig, optimizer: optax.GradientTransformation
) -> PretrainingState:
    """Return a fresh state.

    Args:
      key: consumed.
      config: settings of the pretraining.
      optimizer: from `make_optimizer`.
    """
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
    """Take one optimizer step on a fresh batch.

    Args:
      state: from `init` or `step`.
      config: settings of the pretraining.
      optimizer: as in `init`.
      sharding: distribution of the batch over devices.

    Returns:
      The next state, and the loss and its parts before the step.
    """
    key = jax.random.fold_in(state.key, state.step)
    network_key, point_key = jax.random.split(key)
    model, num = config.autoencoder, config.batch_size
    preset = PRESETS[model.preset]
    batch = preset.sample_batch(network_key, num, config=model, sharding=sharding)
    shape = (config.num_points, model.spec.num_inputs)
    x = jax.random.uniform(point_key, shape, minval=-1.0)
    grads, metrics = jax.grad(preset.batch_loss, has_aux=True)(
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
    """Take `num_steps` steps as one scan; metrics have one row per step."""

    def body(state: PretrainingState, _: None) -> tuple[PretrainingState, Metrics]:
        return step(state, config=config, optimizer=optimizer, sharding=sharding)

    return jax.lax.scan(body, state, None, length=num_steps)
