"""Gradients of architecture vectors, and weight steps that stay in their slice.

Letters of arXiv:1806.09055: weights w, vectors alpha, training loss on one part of the
data for w and on another for alpha.
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
SampleFn = Callable[[Alphas], Any]  # vectors to probabilities, the key being bound


def first_order(
    alphas: Alphas, params: Params, batch: Any, *, loss_fn: LossFn, sample_fn: SampleFn
) -> tuple[Float[Array, ""], Alphas]:
    """Loss and its gradient by the vectors, the weights being as they are."""
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
    """The same, of the loss after the `masked_update` that would come next.

    Exact: the step, its momentum and its weight decay are differentiated, where
    arXiv:1806.09055 (equation 8) takes a finite difference. One draw of probabilities
    serves both losses, and `mask_fn` gives the masks of its weights (`Space.masks`).
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
    """A weight step only where a mask is not 0: weights and state are new there.

    Elsewhere both stay as they are; a count that is one of all weights goes on (so
    `optimizers.scale_by_own_adam` has one each). Without it weight decay and momentum
    would move weights that the sampled network does not have.
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
