"""Training and evaluation of standalone networks, which are sliced, not masked."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from swajax.objectives import Objective
from swajax.tangle.choices import Architecture, Probabilities
from swajax.tangle.data.examples import Rows, find_classes, mean_loss, mean_over_blocks
from swajax.tangle.spaces.base import SearchSpace
from swajax.tangle.train.optimizers import SupernetConfig, make_weight_optimizer
from swajax.tangle.train.supernet import draw_batch
from swajax.types import Key


class Score(NamedTuple):
    """Loss and accuracy of a network on given rows."""

    loss: Float[Array, ""]
    accuracy: Float[
        Array, ""
    ]  # fraction of rows with the right class; nan in regression


def by_masks(space: SearchSpace, p: Probabilities) -> SearchSpace:
    """Return a space whose only network is given by one-hot probabilities.

    The largest weights are masked, so that all networks share one compiled program.
    Slices give the same numbers but need one program per network, which takes longer to
    compile than the network to train.
    """
    return dataclasses.replace(
        space,
        take=lambda params, _: params,
        apply_standalone=lambda params, _, x: space.apply(params, p, x),
    )


def train(
    key: Key,
    start: Any,
    rows: Rows,
    *,
    space: SearchSpace,
    architecture: Architecture,
    objective: Objective,
    config: SupernetConfig,
) -> Any:
    """Train sliced weights for `config.num_steps` steps of `make_weight_optimizer`.

    Args:
      key: consumed.
      start: sliced weights, fresh (`take` of `space.init`) or inherited (`take` of
        supernet weights).
      rows: training rows.
      space: the search space.
      architecture: architecture of the network.
      objective: loss to minimise.
      config: number of steps, batch size and optimizer.

    Returns:
      The trained sliced weights.
    """
    optimizer = make_weight_optimizer(config)

    def loss_fn(weights: Any, x: Array, y: Array) -> Float[Array, ""]:
        out = space.apply_standalone(weights, architecture, x)
        return mean_loss(out, y, objective=objective)

    def step(carry: Any, index: Int[Array, ""]) -> tuple[Any, None]:
        weights, state = carry
        batch = draw_batch(jax.random.fold_in(key, index), rows, config.batch_size)
        slope = jax.grad(loss_fn)(weights, *batch)
        updates, state = optimizer.update(slope, state, weights)
        return (optax.apply_updates(weights, updates), state), None

    steps = jnp.arange(config.num_steps)
    return jax.lax.scan(step, (start, optimizer.init(start)), steps)[0][0]


def score_outputs(
    out: Float[Array, "N O"], rows: Rows, *, objective: Objective
) -> Score:
    """Return the score of the outputs of a supernet or of a sliced network."""
    y = jnp.asarray(rows.y)
    loss = mean_loss(out, y, objective=objective)
    if objective == "squared":
        return Score(loss, jnp.full((), jnp.nan))
    if objective == "logistic":
        return Score(loss, ((out > 0) == (y > 0.5)).mean())
    return Score(loss, (out.argmax(axis=1) == find_classes(y)).mean())


def evaluate(
    predict_fn: Callable[[Array], Float[Array, "N O"]],
    rows: Rows,
    *,
    objective: Objective,
) -> Score:
    """Return the score of a network, evaluated by `mean_over_blocks`.

    Args:
      predict_fn: maps inputs to outputs.
      rows: rows to evaluate.
      objective: the loss.
    """

    def score(part: Rows) -> Score:
        return score_outputs(predict_fn(jnp.asarray(part.x)), part, objective=objective)

    return mean_over_blocks(score, rows)


def train_and_evaluate(
    key: Key,
    weight_rows: Rows,
    held_rows: tuple[Rows, ...],
    *,
    space: SearchSpace,
    architecture: Architecture,
    objective: Objective,
    config: SupernetConfig,
) -> tuple[Score, ...]:
    """Return the scores on held-out rows after training from fresh weights."""
    start_key, train_key = jax.random.split(key)
    how = {"space": space, "architecture": architecture, "objective": objective}
    start = space.take(space.init(start_key), architecture)
    weights = train(train_key, start, weight_rows, config=config, **how)
    predict_fn = functools.partial(space.apply_standalone, weights, architecture)
    return tuple(evaluate(predict_fn, rows, objective=objective) for rows in held_rows)


def train_candidates(
    key: Key,
    params: Any,
    rows: Rows,
    *,
    space: SearchSpace,
    architecture: Architecture,
    objective: Objective,
    config: SupernetConfig,
) -> dict[str, Any]:
    """Return the inherited, finetuned and retrained weights of a network, sliced.

    Args:
      key: key of fresh weights and of batches.
      params: weights of the supernet.
      rows: training rows.
      space: the search space.
      architecture: architecture of the network.
      objective: loss to minimise.
      config: settings of both trainings.
    """
    how = {"space": space, "architecture": architecture, "objective": objective}
    train_fn = jax.jit(functools.partial(train, config=config, **how))
    init_key, tune_key, train_key = jax.random.split(key, 3)
    inherited = space.take(params, architecture)
    fresh = space.take(space.init(init_key), architecture)
    return {
        "inherited": inherited,
        "finetuned": train_fn(tune_key, inherited, rows),
        "retrained": train_fn(train_key, fresh, rows),
    }


def score_candidates(
    candidates: Mapping[str, Any],
    rows: Rows,
    *,
    space: SearchSpace,
    architecture: Architecture,
    objective: Objective,
) -> dict[str, dict[str, Array]]:
    """Return loss and accuracy of each candidate on the given rows."""

    @jax.jit
    def score(weights: Any, x: Array, y: Array) -> Score:
        predict_fn = functools.partial(space.apply_standalone, weights, architecture)
        return evaluate(predict_fn, Rows(x, y), objective=objective)

    return {
        name: score(weights, *rows)._asdict() for name, weights in candidates.items()
    }
