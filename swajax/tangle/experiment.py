"""A complete search: supernet, choice of a network, and its scores.

Host code around compiled functions; several starts run as one batch until a network is
chosen for each.
"""

import functools
import time
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from swajax.objectives import Objective
from swajax.tangle import selection
from swajax.tangle.choices import (
    Architecture,
    Probabilities,
    discretise,
    from_genes,
    harden,
    to_architecture,
)
from swajax.tangle.data.examples import Rows, Split, keep_outputs, mean_over_blocks
from swajax.tangle.samplers import Sampler
from swajax.tangle.spaces.base import SearchSpace, count_weights
from swajax.tangle.train import standalone, supernet
from swajax.tangle.train.optimizers import SupernetConfig
from swajax.tangle.train.supernet import Losses, SupernetState
from swajax.types import Key

NUM_REPORTS = 30
# A sampler without vectors reports the best of 50 random networks, by 4096 outputs.
NUM_DRAWN = 50
NUM_SCORED = 4096

SelectBy = Literal["evolution", "random"]


class SupernetTask(NamedTuple):
    """Search space, rows and objective."""

    space: SearchSpace
    split: Split
    objective: Objective


class SupernetProgress(NamedTuple):
    """Progress of a search; arrays have a leading axis of starts."""

    step: int
    num_passes: int  # forward and backward passes of the supernet so far
    seconds: float  # time of steps since the start or resume, without scores
    state: SupernetState
    losses: Losses  # means since the last report
    score: standalone.Score  # score of the current choice with inherited weights


def make_states(
    key: Key,
    task: SupernetTask,
    *,
    sampler: Sampler,
    config: SupernetConfig,
    num_starts: int,
) -> SupernetState:
    """Return the initial states of `search` with the same key."""
    make = functools.partial(
        supernet.make_state, space=task.space, sampler=sampler, config=config
    )
    return jax.vmap(make)(jax.random.split(jax.random.split(key)[0], num_starts))


def search(
    key: Key,
    task: SupernetTask,
    *,
    sampler: Sampler,
    config: SupernetConfig,
    num_starts: int,
    state: SupernetState | None = None,
    first_step: int = 0,
) -> Iterator[SupernetProgress]:
    """Run a search and yield its progress about `NUM_REPORTS` times.

    Progress includes the score, on the rows for architectures, of the most probable
    network or, if vectors are not trained, of the best of `NUM_DRAWN` random networks
    on `NUM_SCORED` outputs.

    Args:
      key: key of the whole search; the same if the search is resumed.
      task: search space, rows and objective.
      sampler: map from vectors to probabilities.
      config: settings of supernet training.
      num_starts: number of searches in the batch.
      state: state to resume from, by default `make_states`.
      first_step: reported step of that state.

    Raises:
      ValueError: a loss is not finite; the message names the step.
    """
    if state is None:
        how = {"sampler": sampler, "config": config, "num_starts": num_starts}
        state = make_states(key, task, **how)
    keys = jax.random.split(jax.random.split(key)[1], num_starts)
    each = -(-config.num_steps // NUM_REPORTS)
    score_fn = _score_likeliest if sampler.is_trained else _score_drawn
    fixed = {"space": task.space, "objective": task.objective}
    rows, seconds = (task.split.weights, task.split.architecture), 0.0
    for step in range(first_step, config.num_steps, each):
        num, begin = min(each, config.num_steps - step), time.monotonic()
        how = {"num": num, "sampler": sampler, "config": config}
        state, losses = _advance(state, keys, step, rows, **how, **fixed)
        supernet.check_losses(jax.device_get(losses), step)
        seconds += time.monotonic() - begin
        yield SupernetProgress(
            step + num,
            (step + num) * count_passes(sampler, config),
            seconds,
            state,
            jax.tree.map(lambda a: a.mean(axis=-1), losses),
            score_fn(state, task.split.architecture, **fixed),
        )


def count_passes(sampler: Sampler, config: SupernetConfig) -> int:
    """Return the number of forward and backward passes per step."""
    if not sampler.is_trained:
        return 1
    return 4 if config.order == "second" else 2  # all except one are for vectors


def choose_architecture(
    key: Key,
    state: SupernetState,
    task: SupernetTask,
    *,
    sampler: Sampler,
    select_by: SelectBy,
    evolution: selection.EvolutionConfig,
) -> Architecture:
    """Choose the network of one start.

    If vectors are trained, this is the most probable network, otherwise the best one of
    a second stage with inherited weights on the rows for architectures.

    Args:
      key: key of the second stage.
      state: state of one start, without a leading axis.
      task: search space, rows and objective.
      sampler: sampler of the search.
      select_by: method of the second stage; both methods evaluate the same number of
        networks.
      evolution: size of the second stage.

    Raises:
      ValueError: vectors, or losses of all networks, are not finite.
    """
    choices = task.space.choices
    if sampler.is_trained:
        return discretise(state.alphas, choices)
    loss_fn = supernet.make_loss_fn(task.space, task.objective)

    @jax.jit
    def select(key: Key, params: Any, rows: Rows) -> selection.Selection:
        def evaluate(p: Any) -> Array:
            return mean_over_blocks(functools.partial(loss_fn, params, p), rows)

        if select_by == "evolution":
            return selection.evolve(key, evaluate, choices, config=evolution)
        num = evolution.num_evaluated
        return selection.random_search(key, evaluate, choices, num=num)

    found = select(key, state.params, task.split.architecture)
    if not np.isfinite(found.losses[0]):
        raise ValueError("no network of the supernet has a finite loss")
    return to_architecture(np.asarray(found.genes[0]), choices)


def evaluate_architecture(
    key: Key,
    params: Any,
    task: SupernetTask,
    architecture: Architecture,
    *,
    config: SupernetConfig,
) -> dict[str, Any]:
    """Return test scores of a network with inherited, finetuned and fresh weights.

    Args:
      key: key of fresh weights and of batches.
      params: weights of the supernet.
      task: search space, rows and objective.
      architecture: architecture of the network.
      config: settings of both trainings, on the rows for weights.

    Returns:
      The loss and accuracy of each kind of weights, and `num_weights`.
    """
    space, split, objective = task
    how = {"space": space, "architecture": architecture, "objective": objective}
    found = standalone.train_candidates(
        key, params, split.weights, config=config, **how
    )
    scores = standalone.score_candidates(found, split.test, **how)
    return scores | {"num_weights": count_weights(space, architecture)}


@functools.partial(
    jax.jit, static_argnames=("num", "space", "objective", "sampler", "config")
)
def _advance(
    state: SupernetState,
    keys: Array,
    first_step: Array | int,
    rows: tuple[Rows, Rows],
    *,
    num: int,
    space: SearchSpace,
    objective: Objective,
    sampler: Sampler,
    config: SupernetConfig,
) -> tuple[SupernetState, Losses]:
    """Run steps of all starts together."""
    loss_fn = supernet.make_loss_fn(space, objective)
    how = {"space": space, "sampler": sampler, "loss_fn": loss_fn, "config": config}

    def advance(state: SupernetState, key: Key) -> tuple[SupernetState, Losses]:
        return supernet.search_steps(state, key, first_step, *rows, num=num, **how)

    return jax.vmap(advance)(state, keys)


@functools.partial(jax.jit, static_argnames=("space", "objective"))
def _score_likeliest(
    state: SupernetState, rows: Rows, *, space: SearchSpace, objective: Objective
) -> standalone.Score:
    def score(params: Any, p: Probabilities) -> standalone.Score:
        return _score(space, objective, params, p, rows)

    return jax.vmap(score)(state.params, harden(state.alphas))


@functools.partial(jax.jit, static_argnames=("space", "objective"))
def _score_drawn(
    state: SupernetState, rows: Rows, *, space: SearchSpace, objective: Objective
) -> standalone.Score:
    rows = keep_outputs(rows, NUM_SCORED)
    genes = selection.draw_genes(jax.random.key(0), space.choices, num=NUM_DRAWN)
    drawn = jax.vmap(lambda row: from_genes(row, space.choices))(genes)

    def score_best(params: Any) -> standalone.Score:
        def score(p: Probabilities) -> standalone.Score:
            return _score(space, objective, params, p, rows)

        found = jax.lax.map(score, drawn)
        best = jnp.nanargmin(found.loss)
        return jax.tree.map(lambda leaf: leaf[best], found)

    return jax.vmap(score_best)(state.params)


def _score(
    space: SearchSpace, objective: Objective, params: Any, p: Probabilities, rows: Rows
) -> standalone.Score:
    predict_fn = functools.partial(space.apply, params, p)
    return standalone.evaluate(predict_fn, rows, objective=objective)
