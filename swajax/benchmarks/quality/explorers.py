"""Gradient descent in a space within a budget, and what has come of it over time.

`swajax.explore` takes as many steps as it is told. Here a search may end by the clock
as well: its step size falls by the share of the budget that is spent, whatever a step
costs, so that a slow space is not cut off before its step size has fallen.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from swajax import explore, latent_search, spaces
from swajax.autoencoder import AutoencoderConfig
from swajax.benchmarks.quality.tasks import Task
from swajax.latent_search import Data, SearchConfig, SearchState, Space
from swajax.pipeline import PipelineConfig
from swajax.types import Key, Network

LAST_RATE = 0.01  # of the step size that is left in the end

Starts = Literal["encoded", "noise", "uniform"]


class Explorer(NamedTuple):
    """A space, what its decoders need, and starts [R K, ...]."""

    space: Space
    params: Any
    starts: Any


@dataclasses.dataclass(frozen=True)
class Budget:
    """When the descent ends: what comes first."""

    seconds: float = math.inf
    """seconds of work"""
    candidate_steps: int | float = math.inf
    """steps times candidates"""


def make_direct(
    key: Key, task: Task, search: SearchConfig, config: PipelineConfig
) -> Explorer:
    """The weights themselves."""
    spec = config.make_spec(task.train.x.shape[0], task.train.y.shape[0])
    key, network_key = jax.random.split(key)
    networks = explore.draw_networks(network_key, search, spec, config.max_weights)
    space = spaces.make_direct_space(spec, task.objective)
    return Explorer(space, None, spaces.unfold_starts(key, networks))


def make_learned(
    key: Key,
    task: Task,
    search: SearchConfig,
    config: PipelineConfig,
    *,
    params: Any,
    model: AutoencoderConfig,
    starts: Starts,
) -> Explorer:
    """A learned space.

    Starts are embeddings of random networks; or normal, each coordinate with the mean
    and deviation that those have; or uniform in [0, 1), as in arXiv:2410.08339.
    """
    key, start_key = jax.random.split(key)
    spec = config.make_spec(task.train.x.shape[0], task.train.y.shape[0])
    if model.preset == "tabular":
        space = spaces.make_tabular_space(model, spec, task.objective)
        networks = explore.draw_networks(
            start_key, search, space.spec, config.max_weights
        )
        points = spaces.encode_starts(params, networks, model=model)
        points = points._replace(embedding=redraw(key, points.embedding, starts))
        return Explorer(space, params, points)
    space = spaces.make_compact_space(model, num_inputs=spec.num_inputs)
    search = dataclasses.replace(search, starts="encoded")
    points = spaces.draw_compact_starts(
        start_key, params, config=search, autoencoder_config=model
    )
    return Explorer(space, params, redraw(key, points, starts))


def descend(
    explorer: Explorer,
    data: Data,
    *,
    search: SearchConfig,
    budget: Budget,
    clock: Callable[[], float],
    watch: Callable[[int, Callable[[], Network]], None],
) -> tuple[Network, int]:
    """The best hard network of each candidate, and the candidate-steps taken.

    Args:
      explorer: what is searched.
      data: training and validation points.
      search: how; `num_steps` and `decay` do not matter.
      budget: when to end; one chunk is always taken.
      clock: tells the seconds.
      watch: called after each chunk with the candidate-steps so far and a function
        that gives the networks of the moment.
    """
    static = {
        "space": explorer.space,
        "config": dataclasses.replace(search, num_steps=1, decay="constant"),
    }
    static["optimizer"] = make_optimizer(static["config"])
    begin, steps = clock(), 0
    state = _init(explorer.starts, explorer.params, data, **static)
    while (spent := find_share(budget, clock() - begin, steps)) < 1:
        factor = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * spent)) / 2
        state = _set_rate(state, factor)
        state = _chunk(state, explorer.params, data, **static)
        steps += state.loss.block_until_ready().size * search.chunk_steps
        watch(steps, functools.partial(_harden, state, explorer))
    return _harden(state, explorer), steps


def _harden(state: SearchState, explorer: Explorer) -> Network:
    """The networks that validation has picked so far."""
    return explore.harden(state.picked, explorer.params, space=explorer.space)


class Rate(NamedTuple):
    """Factor of all updates."""

    factor: jax.Array


@functools.cache
def make_optimizer(config: SearchConfig) -> optax.GradientTransformation:
    """The optimizer of the search, with a factor in its state that the host sets."""

    def init_fn(params: Any) -> Rate:
        del params
        return Rate(jnp.ones((), jnp.float32))

    def update_fn(updates: Any, state: Rate, params: Any = None) -> tuple[Any, Rate]:
        del params
        return jax.tree.map(lambda u: state.factor * u, updates), state

    scale = optax.GradientTransformation(init_fn, update_fn)
    return optax.chain(latent_search.make_optimizer(config), scale)


def _set_rate(state: SearchState, factor: float) -> SearchState:
    inner, rate = state.opt_state
    rate = Rate(jnp.full_like(rate.factor, factor))
    return state._replace(opt_state=(inner, rate))


def find_share(budget: Budget, seconds: float, steps: int) -> float:
    """Share of the budget that is spent; 0 before the first chunk."""
    if not steps:
        return 0.0
    return max(seconds / budget.seconds, steps / budget.candidate_steps)


def redraw(key: Key, points: Any, starts: Starts) -> Any:
    """Points as they are, or others of the same shapes."""
    if starts == "encoded":
        return points
    leaves, tree = jax.tree.flatten(points)
    drawn = []
    for leaf, own_key in zip(leaves, jax.random.split(key, len(leaves)), strict=True):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            drawn.append(leaf)
        elif starts == "uniform":
            drawn.append(jax.random.uniform(own_key, leaf.shape, leaf.dtype))
        else:
            mean, std = (
                leaf.mean(axis=0, keepdims=True),
                leaf.std(axis=0, keepdims=True),
            )
            drawn.append(
                mean + std * jax.random.normal(own_key, leaf.shape, leaf.dtype)
            )
    return jax.tree.unflatten(tree, drawn)


_STATIC = ("space", "config", "optimizer")
_init = jax.jit(latent_search.init, static_argnames=_STATIC)
_chunk = jax.jit(latent_search.chunk, static_argnames=_STATIC)
