"""Gradient descent on batches of dense networks, for the rivals that prune.

A batch is one compiled program: `vmap` over networks, `lax.scan` over steps. Schedules
depend on the progress from 0 to 1, which follows the steps or, if time is short, the
clock, so that every run completes its schedule.
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

CHUNK_STEPS = 25  # number of steps between checks of the clock
BATCH_ROWS = 512  # largest number of rows per step
LAST_RATE = 0.01  # learning rate at the end, relative to that of the start

ADAM = optax.scale_by_adam()


@dataclasses.dataclass(frozen=True)
class TrainConfig(RestartsConfig):
    """Settings of training and pruning; a run is a batch of networks."""

    num_networks: int = 32
    """number of networks per run, each with its own size or penalty"""
    num_steps: int = 2000
    """number of steps per run; fewer if the time is short"""
    # Only large tables use the whole share; runs on small ones end by steps.
    run_share: float = 0.5
    """maximum share of the time budget per run"""
    lm_steps: int = 60
    """number of final Levenberg-Marquardt steps per network; 0 for none"""


class TrainTask(NamedTuple):
    """Networks and data of a run; leaves of `networks` and `goal` lead with B."""

    networks: Network  # shapes and activations
    train: Problem
    valid: Problem
    goal: Float[Array, " B"]  # size or penalty of each network


StepFn = Callable[..., Any]  # (state, task, key, progress, *, fit, config) -> state


def draw_dense(key: Key, search: Search, *, num: int) -> Network:
    """Draw dense networks that are larger than the networks to be found.

    Shapes and activations are those of `prior.sample_small` for log-uniform numbers of
    weights between the largest size to be found and the largest network.

    Args:
      key: consumed.
      search: with the limits.
      num: number of networks.
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
    """Return networks with the data of a search."""
    return TrainTask(networks, search.job.train, search.job.valid, goal)


@jax.jit
def redraw(key: Key, networks: Network) -> Network:
    """Draw new normal weights, scaled by the fan-in, for the same shapes.

    A random factor per network makes smooth and oscillating functions, as in the prior.
    """
    return jax.vmap(_redraw)(jax.random.split(key, len(networks.depth)), networks)


def draw_sizes(key: Key, search: Search, *, num: int) -> Float[Array, " B"]:
    """Draw log-uniform target sizes from 3 to the largest."""
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
    """Train for `config.num_steps` steps, or fewer in the share of the time.

    Args:
      key: consumed.
      step_fn: one step of all networks; a module-level function, compiled once.
      state: pytree whose structure a step keeps.
      task: networks and data.
      search: with the clock and the counter of steps.
      config: of the rival.

    Returns:
      The last state.
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
        search.job.network_steps += CHUNK_STEPS * len(task.networks.depth)
    return state


def mean_losses(networks: Network, problem: Problem, *, fit: Fit) -> Float[Array, " B"]:
    """Return the loss of each network, weight decay included."""
    out = apply_batch(networks, problem.x, activations=fit.activations)
    each = functools.partial(losses, objective=fit.objective)
    values = jax.vmap(each, in_axes=(0, None))(out.mT, problem.y.T)
    squares = jnp.square(jax.vmap(pack)(networks)).sum(axis=1)
    return values @ problem.weight + fit.weight_decay / 2 * squares


def with_weights(networks: Network, weights: Float[Array, "B P"]) -> Network:
    """Replace all numbers of the networks."""
    return jax.vmap(unpack)(weights, networks)


def is_largest(
    weights: Float[Array, "B P"], sizes: Float[Array, " B"]
) -> Bool[Array, "B P"]:
    """Return a mask of the weights of largest magnitude of each network.

    Args:
      weights: of the networks.
      sizes: number of weights to mark per network; zeros are never marked.
    """
    values = jnp.abs(weights)
    limit = jax.vmap(kth_largest)(values, sizes)
    return (values >= limit[:, None]) & (values > 0)


def learning_rate(
    first: float, progress: Float[Array, ""], *, restart: float = 0.0
) -> Float[Array, ""]:
    """Return a rate that is constant until `restart`, then decays to a hundredth."""
    part = jnp.clip((progress - restart) / (1.0 - restart), 0.0, 1.0)
    share = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + jnp.cos(jnp.pi * part))
    return first * share


def _redraw(key: Key, network: Network) -> Network:
    """Redraw the weights of one network."""
    keys = jax.random.split(key, 6)
    factor = jnp.exp(jax.random.uniform(keys[0], minval=-0.5, maxval=1.0))

    def draw(key: Key, weights: Float[Array, "*L K J"]) -> Float[Array, "*L K J"]:
        is_present = weights != 0
        fan_in = jnp.maximum(is_present.sum(axis=-2, keepdims=True), 1)
        normal = jax.random.normal(key, weights.shape)
        return factor * normal * is_present / jnp.sqrt(fan_in)

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
    """Sample dense networks with log-uniform sizes from `least` to `most`."""
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
    """Take `CHUNK_STEPS` steps."""

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
    """Return all rows, or a sample in proportion to their weights."""
    num_rows = len(problem.x)
    if num_rows <= BATCH_ROWS:
        return problem
    rows = jax.random.choice(key, num_rows, (BATCH_ROWS,), p=problem.weight)
    weight = jnp.full(BATCH_ROWS, 1 / BATCH_ROWS, problem.weight.dtype)
    return Problem(problem.x[rows], problem.y[rows], weight)
