"""Networks on their own: trained anew or further, and judged; sliced, without masks."""

import dataclasses
import functools
from collections.abc import Callable
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
    """How good a network is on some rows."""

    loss: Float[Array, ""]
    accuracy: Float[Array, ""]  # share of rows whose class is right; nan in regression


def by_masks(space: SearchSpace, p: Probabilities) -> SearchSpace:
    """A space whose only network is given by one-hot probabilities.

    By masks on the largest weights, where slices would be a program for each network:
    to compile many takes longer than to train them. The numbers are the same.
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
    """Sliced weights after `config.num_steps` steps of `make_weight_optimizer`.

    Args:
      key: consumed.
      start: sliced weights, fresh (`take` of `space.init`) or inherited (`take` of a
        supernet's).
      rows: to train on.
      space: the search space.
      architecture: of the network.
      objective: what is minimised.
      config: number of steps, batches and optimizer.
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


def judge(out: Float[Array, "N O"], rows: Rows, *, objective: Objective) -> Score:
    """Score of outputs, a supernet's or a sliced network's."""
    y = jnp.asarray(rows.y)
    loss = mean_loss(out, y, objective=objective)
    if objective == "squared":
        return Score(loss, jnp.full((), jnp.nan))
    if objective == "logistic":
        return Score(loss, ((out > 0) == (y > 0.5)).mean())
    return Score(loss, (out.argmax(axis=1) == find_classes(y)).mean())


def evaluate(
    predict: Callable[[Array], Float[Array, "N O"]], rows: Rows, *, objective: Objective
) -> Score:
    """Score of a network, given by its outputs at inputs; see `mean_over_blocks`."""

    def judge_part(part: Rows) -> Score:
        return judge(predict(jnp.asarray(part.x)), part, objective=objective)

    return mean_over_blocks(judge_part, rows)


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
    """Scores on held-out rows of a network that is trained from fresh weights."""
    start_key, train_key = jax.random.split(key)
    how = {"space": space, "architecture": architecture, "objective": objective}
    start = space.take(space.init(start_key), architecture)
    weights = train(train_key, start, weight_rows, config=config, **how)
    predict = functools.partial(space.apply_standalone, weights, architecture)
    return tuple(
        evaluate(predict, rows, objective=objective) for rows in held_rows
    )
