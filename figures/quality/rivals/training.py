"""Gradient descent on many dense networks at once, for rivals that prune.

All networks of a batch are one compiled program: `vmap` over networks, `lax.scan` over
steps. Schedules go by progress, from 0 to 1, which is by steps where there is time and
by the clock where there is not, so that every run reaches its end.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from figures.quality.rivals.common import RestartsConfig, Search
from swajax import prior
from swajax.data.problem import Problem
from swajax.network import count_weights, make_dense, pack, unpack
from swajax.network.batched import apply_batch
from swajax.network.gates import kth_largest
from swajax.objectives import losses
from swajax.refine.quadratic import Fit
from swajax.types import Key, Network, NetworkSpec

CHUNK_STEPS = 25  # between two looks at the clock
BATCH_ROWS = 512  # of more rows than this, so many are drawn for each step
LAST_RATE = 0.01  # learning rate at the end, relative to that of the start

ADAM = optax.scale_by_adam()


@dataclasses.dataclass(frozen=True)
class TrainConfig(RestartsConfig):
    """What all that train and prune have; a run is a batch of networks."""

    num_networks: int = 32
    """networks of a run, each pruned to a size or with a penalty of its own"""
    num_steps: int = 2000
    """steps of a run, if there is time"""
    # Large tables need the longest run there can be; small ones end theirs far sooner.
    run_share: float = 0.5
    """share of the time budget that a run may take"""
    lm_steps: int = 60
    """Levenberg-Marquardt steps on each network in the end, 0 for none"""


class TrainTask(NamedTuple):
    """What a run trains on; leaves of `networks` and `goal` lead with B."""

    networks: Network  # shapes and activations
    train: Problem
    valid: Problem
    goal: Float[Array, " B"]  # what tells the networks apart: a size or a penalty


StepFn = Callable[..., Any]  # (state, task, key, progress, *, fit, config) -> state


def draw_dense(key: Key, search: Search, *, num: int) -> Network:
    """Random networks of dense layers, larger than what is asked for.

    Shapes and activations are those of `prior.sample_small` for a number of weights
    that is uniform in the logarithm, from the largest size to be found to the largest
    network there is.
    """
    job = search.job
    largest = int(count_weights(make_dense(job.spec)))
    return _sample(
        key,
        jnp.log(float(min(job.config.max_weights, largest))),
        jnp.log(float(largest)),
        jnp.asarray(job.spec.num_inputs),
        num=num,
        spec=job.config.make_spec(job.train.x.shape[1], job.spec.num_outputs),
    )


def make_task(search: Search, networks: Network, goal: Float[Array, " B"]) -> TrainTask:
    """The data of a search, and networks to train on them."""
    return TrainTask(networks, search.job.train, search.job.valid, goal)


@jax.jit
def redraw(key: Key, networks: Network) -> Network:
    """The same shapes and activations with fresh normal weights, scaled by the fan in.

    A network's own factor makes smooth and wiggly ones, as in the prior.
    """
    return jax.vmap(_redraw)(jax.random.split(key, len(networks.depth)), networks)


def draw_sizes(key: Key, search: Search, *, num: int) -> Float[Array, " B"]:
    """Sizes to prune to, uniform in the logarithm from 3 to the largest."""
    ends = {"minval": math.log(3), "maxval": math.log(search.job.config.max_weights)}
    return jnp.round(jnp.exp(jax.random.uniform(key, (num,), **ends)))


def train(
    key: Key,
    step_fn: StepFn,
    state: Any,
    task: TrainTask,
    search: Search,
    *,
    config: TrainConfig,
) -> Any:
    """The state after `config.num_steps` steps, or fewer in the share of the time.

    Args:
      key: consumed.
      step_fn: one step of all networks, a function of a module (it is compiled once).
      state: a pytree whose structure a step keeps.
      task: what to train on.
      search: tells the time and counts the steps.
      config: of the rival.
    """
    job, progress, index, seconds = search.job, 0.0, 0, 0.0
    end = search.end_of_run(config.run_share)
    while progress < 1.0:
        begin = job.seconds()
        by_clock = seconds / max(end - begin, seconds, 1e-9) * (1.0 - progress)
        ahead = min(1.0 - progress, max(CHUNK_STEPS / config.num_steps, by_clock))
        state = _chunk(
            state,
            task,
            jax.random.fold_in(key, index),
            np.float32(progress),
            np.float32(ahead / CHUNK_STEPS),
            step_fn=step_fn,
            fit=job.fit,
            config=config,
        )
        jax.block_until_ready(state)
        seconds, index = job.seconds() - begin, index + 1
        progress = 1.0 if ahead == 1.0 - progress else progress + ahead
        search.job.candidate_steps += CHUNK_STEPS * len(task.networks.depth)
    return state


def mean_losses(networks: Network, problem: Problem, *, fit: Fit) -> Float[Array, " B"]:
    """Loss of each network, weight decay included."""
    out = apply_batch(networks, problem.x, activations=fit.activations)
    each = functools.partial(losses, objective=fit.objective)
    values = jax.vmap(each, in_axes=(0, None))(out.mT, problem.y.T)
    squares = jnp.square(jax.vmap(pack)(networks)).sum(axis=1)
    return values @ problem.weight + fit.weight_decay / 2 * squares


def with_weights(networks: Network, weights: Float[Array, "B P"]) -> Network:
    """The networks with all their numbers replaced."""
    return jax.vmap(unpack)(weights, networks)


def is_largest(
    weights: Float[Array, "B P"], sizes: Float[Array, " B"]
) -> Bool[Array, "B P"]:
    """Which weights are among the largest ones of each network, in absolute value.

    Weights that are zero never are.
    """
    values = jnp.abs(weights)
    limit = jax.vmap(kth_largest)(values, sizes)
    return (values >= limit[:, None]) & (values > 0)


def learning_rate(
    first: float, progress: Float[Array, ""], *, restart: float = 0.0
) -> Float[Array, ""]:
    """Cosine decay from `restart` on to a hundredth; before that it is constant."""
    part = jnp.clip((progress - restart) / (1.0 - restart), 0.0, 1.0)
    share = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + jnp.cos(jnp.pi * part))
    return first * share


def _redraw(key: Key, network: Network) -> Network:
    keys = jax.random.split(key, 6)
    factor = jnp.exp(jax.random.uniform(keys[0], minval=-0.5, maxval=1.0))

    def draw(key: Key, weights: Float[Array, "*L K J"]) -> Float[Array, "*L K J"]:
        is_there = weights != 0
        fan_in = jnp.maximum(is_there.sum(axis=-2, keepdims=True), 1)
        normal = jax.random.normal(key, weights.shape)
        return factor * normal * is_there / jnp.sqrt(fan_in)

    readout_bias = jax.random.normal(keys[5], network.readout_bias.shape)
    return network._replace(
        first=draw(keys[1], network.first),
        hidden=draw(keys[2], network.hidden),
        readout=draw(keys[3], network.readout),
        bias=draw(keys[4], network.bias[:, None])[:, 0],
        readout_bias=readout_bias * (network.readout_bias != 0),
    )


@functools.partial(jax.jit, static_argnames=("num", "spec"))
def _sample(
    key: Key,
    least: Float[Array, ""],
    most: Float[Array, ""],
    num_inputs: Int[Array, ""],
    *,
    num: int,
    spec: NetworkSpec,
) -> Network:
    """Dense networks; the logarithms of their sizes are about in an interval."""
    size_key, network_key, weight_key = jax.random.split(key, 3)
    sizes = jnp.exp(jax.random.uniform(size_key, (num,), minval=least, maxval=most))
    draw = functools.partial(prior.sample_small, spec=spec, num_inputs=num_inputs)
    keys = jax.random.split(network_key, num)
    drawn = jax.vmap(draw)(keys, jnp.round(sizes).astype(jnp.int32))
    is_input = (jnp.arange(spec.num_inputs) < num_inputs).astype(jnp.float32)
    fill = jax.vmap(prior.make_family, in_axes=(0, 0, 0, None, None))
    shape = (drawn.mask, drawn.activation, drawn.depth)
    return redraw(weight_key, fill(*shape, is_input, jnp.ones(spec.num_outputs)))


@functools.partial(jax.jit, static_argnames=("step_fn", "fit", "config"))
def _chunk(
    state: Any,
    task: TrainTask,
    key: Key,
    progress: Float[Array, ""] | np.float32,
    rate: Float[Array, ""] | np.float32,
    *,
    step_fn: StepFn,
    fit: Fit,
    config: Any,
) -> Any:
    def body(state: Any, index: Array) -> tuple[Any, None]:
        row_key, valid_key, step_key = jax.random.split(
            jax.random.fold_in(key, index), 3
        )
        batch = task._replace(
            train=_draw_rows(row_key, task.train),
            valid=_draw_rows(valid_key, task.valid),
        )
        now = progress + rate * index
        return step_fn(state, batch, step_key, now, fit=fit, config=config), None

    return jax.lax.scan(body, state, jnp.arange(CHUNK_STEPS))[0]


def _draw_rows(key: Key, problem: Problem) -> Problem:
    """All rows, or some as often as they weigh."""
    num_rows = len(problem.x)
    if num_rows <= BATCH_ROWS:
        return problem
    rows = jax.random.choice(key, num_rows, (BATCH_ROWS,), p=problem.weight)
    weight = jnp.full(BATCH_ROWS, 1 / BATCH_ROWS, problem.weight.dtype)
    return Problem(problem.x[rows], problem.y[rows], weight)
