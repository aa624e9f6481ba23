"""Search in a supernet: alternate steps of architecture vectors and weights.

Each step (arXiv:2312.10440) first updates the vectors by the loss on the rows for
architectures, then the weights by the loss on the rows for weights, with separate draws
of probabilities. `search_steps` is pure; for several starts, `vmap` it over states and
keys.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Shaped

from swajax.objectives import Objective
from swajax.tangle.data.examples import Rows, mean_loss
from swajax.tangle.samplers import Alphas, Sampler
from swajax.tangle.spaces.base import Params, SearchSpace
from swajax.tangle.train import gradients
from swajax.tangle.train.optimizers import (
    SupernetConfig,
    make_alpha_optimizer,
    make_weight_optimizer,
)
from swajax.types import Key

Batch = tuple[Shaped[Array, "N ..."], Shaped[Array, "N _"]]


class SupernetState(NamedTuple):
    """Weights, vectors and the states of their optimizers."""

    params: Params
    weight_state: Any
    alphas: Alphas
    alpha_state: Any


class Losses(NamedTuple):
    """Batch losses before a step; 0 for vectors that are not trained."""

    weights: Float[Array, "*K"]
    architecture: Float[Array, "*K"]


def make_loss_fn(space: SearchSpace, objective: Objective) -> gradients.LossFn:
    """Return the mean loss as a function of weights, probabilities and batch (x, y)."""

    def loss_fn(params: Params, p: Any, batch: Batch) -> Float[Array, ""]:
        x, y = batch
        return mean_loss(space.apply(params, p, x), y, objective=objective)

    return loss_fn


def make_state(
    key: Key, *, space: SearchSpace, sampler: Sampler, config: SupernetConfig
) -> SupernetState:
    """Return the state before the first step."""
    weight_key, alpha_key = jax.random.split(key)
    params = space.init(weight_key)
    alphas = sampler.init(alpha_key, space.choices)
    weight_optimizer = make_weight_optimizer(config)
    alpha_optimizer = make_alpha_optimizer(config)
    return SupernetState(
        params, weight_optimizer.init(params), alphas, alpha_optimizer.init(alphas)
    )


def search_steps(
    state: SupernetState,
    key: Key,
    first_step: Int[Array, ""] | int,
    weight_rows: Rows,
    architecture_rows: Rows,
    *,
    num: int,
    space: SearchSpace,
    sampler: Sampler,
    loss_fn: gradients.LossFn,
    config: SupernetConfig,
) -> tuple[SupernetState, Losses]:
    """Run `num` steps; results do not depend on the division of steps into calls.

    Args:
      state: state after `first_step` steps.
      key: key of the whole search, the same in each call.
      first_step: index of the first step, 0 at the start.
      weight_rows: rows that train weights.
      architecture_rows: rows that train vectors.
      num: number of steps.
      space: the search space.
      sampler: map from vectors to probabilities.
      loss_fn: see `make_loss_fn`.
      config: settings of supernet training.

    Returns:
      The state after the steps, and the losses of each step.
    """
    step = _make_step(space, sampler, loss_fn, config)

    def body(
        state: SupernetState, index: Int[Array, ""]
    ) -> tuple[SupernetState, Losses]:
        keys = jax.random.split(jax.random.fold_in(key, index), 3)
        weight_batch = draw_batch(keys[0], weight_rows, config.batch_size)
        batch = draw_batch(keys[1], architecture_rows, config.batch_size)
        return step(state, keys[2], index / config.num_steps, weight_batch, batch)

    return jax.lax.scan(body, state, first_step + jnp.arange(num))


def draw_batch(key: Key, rows: Rows, num: int) -> Batch:
    """Draw `num` rows with replacement."""
    index = jax.random.randint(key, (num,), 0, len(rows.x))
    return jnp.asarray(rows.x)[index], jnp.asarray(rows.y)[index]


def check_losses(found: Losses, first_step: int) -> None:
    """Stop a search that has diverged.

    Args:
      found: losses, steps on the last axis.
      first_step: index of the first step.

    Raises:
      ValueError: a loss is not finite; the message names the step.
    """
    for name, values in found._asdict().items():
        is_bad = ~np.isfinite(np.asarray(values)).reshape(-1, values.shape[-1])
        if is_bad.any():
            step = first_step + int(is_bad.any(axis=0).argmax())
            raise ValueError(f"step {step}: the loss of {name} is not finite")


def _make_step(
    space: SearchSpace,
    sampler: Sampler,
    loss_fn: gradients.LossFn,
    config: SupernetConfig,
) -> Callable[..., tuple[SupernetState, Losses]]:
    weight_optimizer = make_weight_optimizer(config)
    alpha_optimizer = make_alpha_optimizer(config)

    def move_alphas(
        state: SupernetState, sample_fn: Any, weight_batch: Batch, batch: Batch
    ) -> tuple[SupernetState, Float[Array, ""]]:
        how = {"loss_fn": loss_fn, "sample_fn": sample_fn}
        if config.order == "second":
            loss, slope = gradients.second_order(
                state.alphas,
                state.params,
                batch,
                weight_batch,
                state.weight_state,
                mask_fn=space.masks,
                optimizer=weight_optimizer,
                **how,
            )
        else:
            loss, slope = gradients.first_order(
                state.alphas, state.params, batch, **how
            )
        pull = jax.grad(sampler.penalty)(state.alphas)
        slope = jax.tree.map(jnp.add, slope, pull)
        updates, alpha_state = alpha_optimizer.update(
            slope, state.alpha_state, state.alphas
        )
        alphas = optax.apply_updates(state.alphas, updates)
        return state._replace(alphas=alphas, alpha_state=alpha_state), loss

    def step(
        state: SupernetState,
        key: Key,
        progress: Float[Array, ""],
        weight_batch: Batch,
        batch: Batch,
    ) -> tuple[SupernetState, Losses]:
        alpha_key, weight_key = jax.random.split(key)
        loss = jnp.zeros(())
        if sampler.is_trained:
            sample_fn = functools.partial(sampler.sample, alpha_key, progress=progress)
            state, loss = move_alphas(state, sample_fn, weight_batch, batch)
        p = sampler.sample(weight_key, state.alphas, progress)
        weight_loss, slope = jax.value_and_grad(loss_fn)(state.params, p, weight_batch)
        params, weight_state = gradients.masked_update(
            slope,
            state.weight_state,
            state.params,
            space.masks(p),
            optimizer=weight_optimizer,
        )
        state = state._replace(params=params, weight_state=weight_state)
        return state, Losses(weight_loss, loss)

    return step
