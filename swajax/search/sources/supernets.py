"""Starts of a search for tiny networks, out of supernets of perceptrons.

Several supernets of the space `mlp` are trained at once; networks are drawn from what
their architecture vectors have become, with the weights that they inherit.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from swajax.data.problem import MAX_ROWS, Problem, padded_inputs
from swajax.objectives import Objective
from swajax.search.config import ExploreConfig, SupernetSourceConfig
from swajax.search.sources.base import SourceTask
from swajax.tangle.choices import harden
from swajax.tangle.data.examples import Rows
from swajax.tangle.samplers import Sampler, make_sampler
from swajax.tangle.spaces import mlp
from swajax.tangle.spaces.mlp import MlpConfig
from swajax.tangle.train import supernet
from swajax.tangle.train.optimizers import SupernetConfig
from swajax.tangle.train.supernet import SupernetState
from swajax.types import Key, Network, NetworkSpec

CHUNK_STEPS = 50  # between two looks at the clock


def find_networks(
    key: Key,
    train: Rows,
    valid: Rows,
    *,
    objective: Objective,
    limits: NetworkSpec,
    config: SupernetSourceConfig,
    seconds: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Network, int]:
    """Networks within the limits, leaves [B N, ...], and steps times supernets.

    Args:
      key: consumed.
      train: rows for weights.
      valid: rows for architectures.
      objective: what is fitted.
      limits: of the networks.
      config: how; N of B supernets.
      seconds: after which no more steps are made; a chunk is always taken.
      clock: tells the seconds.

    Raises:
      ValueError: a loss is not finite.
    """
    # Inputs are padded, so that tables of like size share compiled programs.
    num_inputs = padded_inputs(limits.num_inputs)
    space = make_config(dataclasses.replace(limits, num_inputs=num_inputs))
    trainer = _make_trainer(space, objective, config.search)
    make_key, step_key, draw_key = jax.random.split(key, 3)
    num, begin = config.num_supernets, clock()
    state = trainer.init_fn(jax.random.split(make_key, num))
    state = _scale_first(state, (num_inputs / limits.num_inputs) ** 0.5)
    keys = jax.random.split(step_key, num)
    rows = _pad(train, num_inputs), _pad(valid, num_inputs)
    step = 0
    while not step or (step < config.search.num_steps and clock() - begin < seconds):
        num_steps = min(CHUNK_STEPS, config.search.num_steps - step)
        state, losses = trainer.step_fn(state, keys, step, rows, num_steps=num_steps)
        supernet.check_losses(jax.device_get(losses), step)
        step += num_steps
    networks = _draw(
        jax.random.split(draw_key, num),
        state,
        sampler=trainer.sampler,
        config=space,
        num=config.num_drawn,
    )
    networks = jax.device_get(networks)
    first = networks.first[:, : limits.num_inputs]
    return networks._replace(first=first), step * num


def _pad(rows: Rows, num_inputs: int) -> Rows:
    """Rows on the device, with more inputs, which are 0."""
    more = num_inputs - rows.x.shape[1]
    return jax.device_put(rows._replace(x=np.pad(rows.x, ((0, 0), (0, more)))))


def _scale_first(state: SupernetState, factor: float) -> SupernetState:
    """The variance that weights of inputs would have without padded ones."""
    first = factor * state.params.first
    return state._replace(params=state.params._replace(first=first))


def make_config(limits: NetworkSpec) -> MlpConfig:
    """The space within limits: all depths, every second width, inputs used or not."""
    widths = tuple(range(2 - limits.max_width % 2, limits.max_width + 1, 2))
    return MlpConfig(
        num_inputs=limits.num_inputs,
        num_outputs=limits.num_outputs,
        widths=widths,
        depths=tuple(range(1, limits.max_depth + 1)),
        activations=limits.activations,
    )


class Trainer(NamedTuple):
    """Compiled functions of several supernets of one kind."""

    sampler: Sampler
    init_fn: Callable[[Array], SupernetState]
    step_fn: Callable[..., Any]


@functools.cache  # equal settings share compiled programs
def _make_trainer(
    config: MlpConfig, objective: Objective, search: SupernetConfig
) -> Trainer:
    space, sampler = mlp.make_mlp(config), make_sampler("drnas")
    static = {"space": space, "sampler": sampler, "config": search}
    loss_fn = supernet.make_loss_fn(space, objective)

    def advance(
        state: SupernetState, keys: Array, step: Array, rows: Any, *, num_steps: int
    ) -> Any:
        def own(state: SupernetState, key: Key) -> Any:
            return supernet.search_steps(
                state, key, step, *rows, num=num_steps, loss_fn=loss_fn, **static
            )

        return jax.vmap(own)(state, keys)

    return Trainer(
        sampler,
        jax.jit(jax.vmap(functools.partial(supernet.make_state, **static))),
        jax.jit(advance, static_argnames="num_steps"),
    )


@functools.partial(jax.jit, static_argnames=("sampler", "config", "num"))
def _draw(
    keys: Array, state: SupernetState, *, sampler: Sampler, config: MlpConfig, num: int
) -> Network:
    """The likeliest network of each supernet, and draws."""

    def one(key: Key, params: Any, alphas: Any, is_likeliest: Array) -> Network:
        drawn = sampler.sample(key, alphas, 1.0)
        scores = {
            name: jnp.where(is_likeliest, alphas[name], drawn[name]) for name in drawn
        }
        return mlp.to_network(params, harden(scores), config=config)

    def each(key: Key, params: Any, alphas: Any) -> Network:
        draw = jax.vmap(one, in_axes=(0, None, None, 0))
        return draw(jax.random.split(key, num), params, alphas, jnp.arange(num) == 0)

    networks = jax.vmap(each)(keys, state.params, state.alphas)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), networks)


def _train_supernets(
    key: Key,
    task: SourceTask,
    *,
    config: ExploreConfig,
    seconds: float,
    clock: Callable[[], float],
) -> tuple[Network, int]:
    """Networks drawn from supernets, and candidate-steps."""
    return find_networks(
        key,
        _resample(task.train),
        _resample(task.valid),
        objective=task.objective,
        limits=task.limits,
        config=config.supernet,
        seconds=seconds,
        clock=clock,
    )


def _resample(part: Problem) -> Rows:
    """Rows as often as they weigh, as many for every table: programs are shared."""
    edges = np.cumsum(part.weight, dtype=np.float64)
    places = (np.arange(MAX_ROWS) + 0.5) / MAX_ROWS * edges[-1]
    rows = np.searchsorted(edges, places)
    return Rows(part.x[rows], part.y[rows])
