"""Descent state and its pure functions: init, step, validate, chunk."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from swajax.latent_search.candidates import over_candidates, over_depths, select
from swajax.latent_search.config import (
    Data,
    DescentConfig,
    Point,
    make_optimizer,
)
from swajax.latent_search.losses import hard_objective, loss_fn, make_hard_networks
from swajax.latent_search.screening import screen
from swajax.latent_search.spaces import Space


class DescentState(NamedTuple):
    """All candidates; every leaf has the leading axes [D, S, R].

    D depths (one decoder each), S sparsity weights, R starts. The state holds the loss
    and the gradient at its point, so that `best` covers every point visited, including
    the last. Before the first step they are inf and zero: the first step evaluates the
    starts without moving, so that the evaluation is compiled only once.

    A descent amplifies rounding: an additional leaf in the scan changes how XLA rounds,
    and with it the networks found.
    """

    point: Point
    loss: Float[Array, "*B D S R"]  # inf if no point was finite
    gradient: Point
    opt_state: optax.OptState
    penalty_weight: Float[Array, "*B D S R"]
    best: Point  # point with the lowest training loss
    best_loss: Float[Array, "*B D S R"]
    picked: Point  # point with the lowest `picked_objective`
    picked_objective: Float[Array, "*B D S R"]  # hard-thresholded, validation rows


def init(
    starts: Any,
    params: Any,
    data: Data,
    *,
    space: Space,
    config: DescentConfig,
    optimizer: optax.GradientTransformation | None = None,
) -> DescentState:
    """Return the state of every decoder and sparsity weight at its starts.

    Args:
      starts: points z, [R K, Z]; each decoder keeps the best of every K =
        `config.num_screened`.
      params: parameters of the decoders.
      data: training and validation rows.
      space: decoders and family of networks.
      config: settings of the descent.
      optimizer: acts on the `Point` of one candidate, by default `make_optimizer`.

    Raises:
      ValueError: the number of starts is not a multiple of `config.num_screened`.
    """
    optimizer = optimizer or make_optimizer(config)
    first = jax.tree.leaves(starts)[0]
    if first.shape[0] % config.num_screened:
        raise ValueError(
            f"the number of starts must be a multiple of num_screened = "
            f"{config.num_screened}, got {first.shape[0]}"
        )
    weights = jnp.asarray(config.sparsity_weights, first.dtype)
    static = {"space": space, "config": config}
    z, first_mse = screen(starts, params, data, **static)
    lead = (space.spec.max_depth, weights.shape[0], *first_mse.shape[1:])
    z = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf[:, None], (*lead, *leaf.shape[2:])), z
    )
    point = Point(z, jnp.zeros(lead, first.dtype))
    if config.penalty_scale == "first_mse":
        scale = jnp.broadcast_to(first_mse[:, None], lead)
    else:
        scale = jnp.full(lead, jnp.var(data.y, axis=0).mean(), first.dtype)
    infinite = jnp.full(lead, jnp.inf, first.dtype)
    return DescentState(
        point=point,
        loss=infinite,
        gradient=jax.tree.map(jnp.zeros_like, point),
        opt_state=over_candidates(optimizer.init)(point),
        penalty_weight=weights[None, :, None] * scale,
        best=point,
        best_loss=infinite,
        picked=point,
        picked_objective=infinite,
    )


def step(
    state: DescentState,
    params: Any,
    data: Data,
    *,
    space: Space,
    config: DescentConfig,
    optimizer: optax.GradientTransformation | None = None,
    rate: Float[Array, ""] | None = None,
) -> DescentState:
    """Take one optimizer step of every candidate.

    A candidate does not move if its new loss or gradient is not finite; other
    candidates are not affected. The optimizer's moments are updated in any case, so
    that the next attempt differs.

    Args:
      state: from `init` or `step`.
      params: parameters of the decoders.
      data: training and validation rows.
      space: decoders and family of networks.
      config: settings of the descent.
      optimizer: as in `init`.
      rate: factor of the optimizer's updates, by default 1.
    """
    optimizer = optimizer or make_optimizer(config)
    updates, opt_state = over_candidates(optimizer.update)(
        state.gradient, state.opt_state, state.point
    )
    if rate is not None:
        updates = jax.tree.map(lambda leaf: rate * leaf, updates)
    point = optax.apply_updates(state.point, updates)
    threshold = jnp.clip(point.threshold, 0.0, config.max_threshold)
    point = point._replace(threshold=threshold)
    loss, gradient, is_finite = _evaluate(
        point, state.penalty_weight, params, data, space=space, config=config
    )
    old = (state.point, state.loss, state.gradient)
    point, loss, gradient = select(is_finite, (point, loss, gradient), old)
    is_best = loss < state.best_loss
    return state._replace(
        point=point,
        loss=loss,
        gradient=gradient,
        opt_state=opt_state,
        best=select(is_best, point, state.best),
        best_loss=jnp.minimum(loss, state.best_loss),
    )


def validate(
    state: DescentState, params: Any, data: Data, *, space: Space, config: DescentConfig
) -> DescentState:
    """Update `picked`, the point whose hard-thresholded network validates best.

    Both the current point and the point with the lowest training loss are compared with
    `picked`.
    """

    def loss(points: Point, weight: Array, *, depth: int) -> Float[Array, " B"]:
        networks = make_hard_networks(points, params, space=space, depth=depth)
        x, y = data.x_valid, data.y_valid
        static = {"space": space, "config": config, "depth": depth}
        return hard_objective(networks, weight, x, y, **static)

    # Both points are evaluated together, stacked along the sparsity weights.
    args = ((state.point, state.penalty_weight), (state.best, state.penalty_weight))
    losses = over_depths(
        loss,
        jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *args),
        num_depths=space.spec.max_depth,
        max_block=max(1, config.block_size // data.x_valid.shape[0]),
    )
    for point, point_losses in zip(args, jnp.split(losses, 2, axis=1), strict=True):
        is_better = point_losses < state.picked_objective
        state = state._replace(
            picked=select(is_better, point[0], state.picked),
            picked_objective=jnp.where(is_better, point_losses, state.picked_objective),
        )
    return state


def chunk(
    state: DescentState,
    params: Any,
    data: Data,
    *,
    space: Space,
    config: DescentConfig,
    optimizer: optax.GradientTransformation | None = None,
    rate: Float[Array, ""] | None = None,
) -> DescentState:
    """Take `config.chunk_steps` steps, then validate; arguments as in `step`."""
    static = {"space": space, "config": config}
    options = {"optimizer": optimizer, "rate": rate}

    def body(state: DescentState, _: None) -> tuple[DescentState, None]:
        return step(state, params, data, **options, **static), None

    state, _ = jax.lax.scan(body, state, None, length=config.chunk_steps)
    return validate(state, params, data, **static)


def _evaluate(
    point: Point,
    penalty_weight: Float[Array, "D S R"],
    params: Any,
    data: Data,
    *,
    space: Space,
    config: DescentConfig,
) -> tuple[Float[Array, "D S R"], Point, Bool[Array, "D S R"]]:
    """Return loss and gradient of every candidate, and whether both are finite."""

    def value_and_grad(points: Point, weight: Array, *, depth: int) -> tuple:
        def total(points: Point) -> tuple[Array, Array]:
            static = {"space": space, "config": config, "depth": depth}
            losses = loss_fn(points, weight, params, data.x, data.y, **static)
            # Candidates are independent, so the sum has the gradient of each loss.
            return losses.sum(), losses

        (_, losses), gradient = jax.value_and_grad(total, has_aux=True)(points)
        is_finite = jnp.isfinite(losses)
        for leaf in jax.tree.leaves(gradient):
            is_finite &= jnp.isfinite(leaf).reshape(losses.shape[0], -1).all(axis=1)
        return losses, gradient, is_finite

    return over_depths(
        value_and_grad,
        (point, penalty_weight),
        num_depths=space.spec.max_depth,
        max_block=max(1, config.block_size // data.x.shape[0]),
    )
