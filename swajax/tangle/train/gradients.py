"""Gradients of architecture vectors, and weight steps within a slice.

Weights w and architecture vectors alpha are trained on different parts of the data, as
in arXiv:1806.09055.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from swajax.tangle.samplers import Alphas
from swajax.tangle.spaces.base import Params

LossFn = Callable[[Params, Any, Any], Float[Array, ""]]  # (weights, p, batch)
SampleFn = Callable[[Alphas], Any]  # maps vectors to probabilities, with a fixed key


def first_order(
    alphas: Alphas, params: Params, batch: Any, *, loss_fn: LossFn, sample_fn: SampleFn
) -> tuple[Float[Array, ""], Alphas]:
    """Return the loss and its gradient w.r.t. the vectors at fixed weights."""
    return jax.value_and_grad(lambda a: loss_fn(params, sample_fn(a), batch))(alphas)


def second_order(
    alphas: Alphas,
    params: Params,
    batch: Any,
    weight_batch: Any,
    optimizer_state: Any,
    *,
    loss_fn: LossFn,
    sample_fn: SampleFn,
    mask_fn: Callable[[Any], Params],
    optimizer: optax.GradientTransformation,
) -> tuple[Float[Array, ""], Alphas]:
    """Return the loss after the next `masked_update`, and its vector gradient.

    The gradient is exact: the step is differentiated including momentum and weight
    decay, whereas arXiv:1806.09055 (equation 8) uses a finite difference. Both losses
    share one draw of probabilities.

    Args:
      alphas: architecture vectors.
      params: weights.
      batch: batch of the rows for architectures.
      weight_batch: batch of the rows for weights, for the step.
      optimizer_state: optimizer state of the weights.
      loss_fn: maps weights, probabilities and batch to a loss.
      sample_fn: maps vectors to probabilities.
      mask_fn: maps probabilities to the masks of the weights, `SearchSpace.masks`.
      optimizer: optimizer of the weights.
    """

    def loss_after_step(alphas: Alphas) -> Float[Array, ""]:
        p = sample_fn(alphas)
        gradient = jax.grad(loss_fn)(params, p, weight_batch)
        state = optimizer_state, params, mask_fn(p)
        moved, _ = masked_update(gradient, *state, optimizer=optimizer)
        return loss_fn(moved, p, batch)

    return jax.value_and_grad(loss_after_step)(alphas)


def masked_update(
    gradient: Params,
    optimizer_state: Any,
    params: Params,
    masks: Params,
    *,
    optimizer: optax.GradientTransformation,
) -> tuple[Params, Any]:
    """Update weights and optimizer state where a mask is not 0.

    Elsewhere both keep their values, which weight decay and momentum would change. A
    step count shared by all weights increases in any case, so
    `optimizers.scale_by_per_weight_adam` has one count per weight.

    Args:
      gradient: gradient of the loss with respect to the weights.
      optimizer_state: optimizer state before the step.
      params: weights before the step.
      masks: masks in the structure of the weights.
      optimizer: optimizer of the weights.

    Returns:
      Weights and optimizer state after the step.
    """
    updates, new_state = optimizer.update(gradient, optimizer_state, params)
    is_used = jax.tree.map(lambda mask: mask > 0, masks)
    updates = jax.tree.map(lambda m, u: jnp.where(m, u, 0.0), is_used, updates)
    is_state_used = optax.tree_utils.tree_map_params(
        optimizer,
        lambda _, mask: mask,
        optimizer_state,
        is_used,
        transform_non_params=lambda leaf: jnp.ones_like(leaf, bool),
    )
    kept = jax.tree.map(jnp.where, is_state_used, new_state, optimizer_state)
    return optax.apply_updates(params, updates), kept
