"""Gradient descent in a space until a budget is spent.

`swajax.latent_search.run` takes as many steps as it is told. Here a descent may end by
the clock as well: its step size falls by the share of the budget that is spent,
whatever a step costs, so that a slow space is not cut off before it has fallen.
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
import optax

from swajax import latent_search
from swajax.latent_search import Data, DescentConfig, DescentState, Point, Space
from swajax.types import Network

LAST_RATE = 0.01  # of the step size that is left in the end

NetworksFn = Callable[[], Network]


class Explorer(NamedTuple):
    """A space, what its decoders need, and starts [R K, ...]."""

    space: Space
    params: Any
    starts: Any


@dataclasses.dataclass(frozen=True)
class Budget:
    """When a descent ends: what comes first."""

    seconds: float = math.inf
    """by the clock"""
    candidate_steps: int | float = math.inf
    """steps times candidates"""


def descend(
    explorer: Explorer,
    data: Data | Callable[[int], Data],
    *,
    search: DescentConfig,
    budget: Budget,
    clock: Callable[[], float] = time.monotonic,
    watch: Callable[[int, NetworksFn], None] | None = None,
) -> tuple[Network, int]:
    """The best hard network of each candidate by validation, and the steps they took.

    Arguments and errors are those of `run`.

    Returns:
      Networks [D S R, ...] of D decoders, S sparsity weights and R starts, and the
      number of steps times candidates.
    """
    state, steps = run(
        explorer, data, search=search, budget=budget, clock=clock, watch=watch
    )
    return _harden_picked(state, explorer), steps


def run(
    explorer: Explorer,
    data: Data | Callable[[int], Data],
    *,
    search: DescentConfig,
    budget: Budget,
    clock: Callable[[], float] = time.monotonic,
    watch: Callable[[int, NetworksFn], None] | None = None,
) -> tuple[DescentState, int]:
    """The state of all candidates in the end, and the steps times candidates.

    Ctrl-C ends it with what is found so far.

    Args:
      explorer: what is searched.
      data: training and validation points; or mini-batches, a function of the number of
        the chunk, from 0, that gives data of equal shapes.
      search: how; `num_steps` and `decay` do not matter.
      budget: when to end; one chunk is always taken.
      clock: tells the seconds.
      watch: called after each chunk with the candidate-steps so far and a function
        that gives the networks of the moment.

    Raises:
      KeyboardInterrupt: Ctrl-C came before the first chunk had ended.
    """
    static = {
        "space": explorer.space,
        "config": dataclasses.replace(search, num_steps=1, decay="constant"),
    }
    static["optimizer"] = make_optimizer(static["config"])
    draw = data if callable(data) else lambda _: data
    begin, steps, index = clock(), 0, 0
    state = _init(explorer.starts, explorer.params, draw(index), **static)
    try:
        while (spent := find_share(budget, clock() - begin, steps)) < 1:
            factor = LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * spent)) / 2
            slowed, index = _set_rate(state, factor), index + 1
            new = _chunk(slowed, explorer.params, draw(index), **static)
            state = jax.block_until_ready(new)
            steps += state.loss.size * search.chunk_steps
            if watch is not None:
                watch(steps, functools.partial(_harden_picked, state, explorer))
    except KeyboardInterrupt:
        if not steps:
            raise
    return state, steps


def find_share(budget: Budget, seconds: float, steps: int) -> float:
    """Share of the budget that is spent; 0 before the first chunk."""
    if not steps:
        return 0.0
    by_clock = seconds / budget.seconds if budget.seconds > 0 else math.inf
    return max(by_clock, steps / budget.candidate_steps)


def harden(picked: Point, params: Any, *, space: Space) -> Network:
    """The networks [D S R, ...] of all decoders, of points [D, S, R, ...]."""
    networks = [
        _hard_networks(picked, params, space=space, depth=depth + 1)
        for depth in range(space.spec.max_depth)
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *networks)


def _harden_picked(state: DescentState, explorer: Explorer) -> Network:
    return harden(state.picked, explorer.params, space=explorer.space)


@functools.partial(jax.jit, static_argnames=("space", "depth"))
def _hard_networks(picked: Point, params: Any, *, space: Space, depth: int) -> Network:
    """The networks [S R, ...] of one decoder."""
    points = jax.tree.map(
        lambda leaf: leaf[depth - 1].reshape(-1, *leaf.shape[3:]), picked
    )
    return latent_search.make_hard_networks(points, params, space=space, depth=depth)


class Rate(NamedTuple):
    """Factor of all updates."""

    factor: jax.Array


@functools.cache
def make_optimizer(config: DescentConfig) -> optax.GradientTransformation:
    """The optimizer of the search, with a factor in its state that the host sets."""

    def init_fn(params: Any) -> Rate:
        del params
        return Rate(jnp.ones((), jnp.float32))

    def update_fn(updates: Any, state: Rate, params: Any = None) -> tuple[Any, Rate]:
        del params
        return jax.tree.map(lambda u: state.factor * u, updates), state

    scale = optax.GradientTransformation(init_fn, update_fn)
    return optax.chain(latent_search.make_optimizer(config), scale)


def _set_rate(state: DescentState, factor: float) -> DescentState:
    inner, rate = state.opt_state
    rate = Rate(jnp.full_like(rate.factor, factor))
    return state._replace(opt_state=(inner, rate))


_STATIC = ("space", "config", "optimizer")
_init = jax.jit(latent_search.init, static_argnames=_STATIC)
_chunk = jax.jit(latent_search.chunk, static_argnames=_STATIC)
