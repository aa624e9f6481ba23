"""Starts of one size, sampled for the data or not, and the same polish for all."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from figures.common.clock import WorkClock
from figures.quality import tasks
from figures.quality.tasks import QualityTask
from swajax import prior
from swajax.autoencoder.base import Params
from swajax.autoencoder.flow import FlowConfig
from swajax.network import pack, unpack
from swajax.prior.draws import scale_by_fan_in
from swajax.prior.functions import sample_function
from swajax.refine import batches
from swajax.search.config import SearchConfig
from swajax.search.job import make_job
from swajax.search.sources.learned import sample_for_rows
from swajax.search.sources.random_networks import sampling_weights
from swajax.types import Key, Network, NetworkSpec

# learned: sampled for the data; other: for targets of a random function; structure:
# as `learned`, with random weights; random: the starts of the default search.
SOURCES = ("learned", "other", "structure", "random")


def draw_starts(
    source: str,
    key: Key,
    task: QualityTask,
    size: int,
    num: int,
    *,
    params: Params,
    config: FlowConfig,
) -> Network:
    """Draw `num` networks of one size from a source, leaves [R, ...]."""
    train = task.train
    limits = SearchConfig(max_weights=size).make_spec(
        train.x.shape[1], train.y.shape[1]
    )
    if source == "random":
        return _draw_random(key, sampling_weights(train), size, num, limits)
    own_key, more_key = jax.random.split(key)
    if source == "other":
        x = jnp.asarray(train.x, jnp.float32)
        keys = jax.random.split(more_key, train.y.shape[1])
        values = [sample_function(k, x, jnp.ones(x.shape[1])) for k in keys]
        y = np.stack(values, axis=1)
        if task.objective != "squared":
            y = np.float32(y == y.max(axis=1, keepdims=True))
        train = train._replace(y=y)
    sizes = np.full(num, size)
    networks = sample_for_rows(own_key, params, train, sizes, limits, config=config)
    if source == "structure":
        networks = _draw_weights(more_key, networks)
    return networks


def polish(
    networks: Network, task: QualityTask, size: int, num_steps: int
) -> dict[str, Any]:
    """Polish starts of one size; return train losses, test errors and seconds."""
    limits = SearchConfig(max_weights=size)
    with WorkClock() as clock:
        begin = clock()
        job = make_job(task.train, task.valid, task.objective, limits, None, clock)
        networks = jax.device_get(networks)
        num_inputs = task.train.x.shape[1]
        more = job.train.x.shape[1] - num_inputs
        first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
        networks = networks._replace(first=first)
        fitted, loss = job.polish(networks, batches.count(networks), num_steps)
        seconds = clock() - begin
    fitted = fitted._replace(first=fitted.first[:, :num_inputs])
    test = tasks.test_losses(task, fitted, job.fit.activations)
    scale = tasks.constant_loss(task)
    return {
        "train": np.asarray(loss, float).tolist(),
        "errors": (test / scale).tolist(),
        "seconds_polish": seconds,
    }


def expect_best(
    train: Float[np.ndarray, " R"], log_errors: Float[np.ndarray, " R"], num: int
) -> float:
    """Return the mean log error of the lowest train loss among `num` of the starts.

    The mean is over all subsets: of R starts in order of loss, number i is the best of
    a subset with probability C(R - 1 - i, n - 1) / C(R, n).

    Example:
      >>> losses, errors = np.array([2.0, 1.0, 3.0]), np.array([5.0, 0.0, 9.0])
      >>> expect_best(losses, errors, 3), round(expect_best(losses, errors, 1), 3)
      (0.0, 4.667)
    """
    total = len(train)
    index = np.arange(total - num + 1)
    # Ratios of consecutive probabilities; the first one is n / R.
    ratios = (total - num - index[:-1]) / (total - 1 - index[:-1])
    odds = num / total * np.cumprod(np.append(1.0, ratios))
    order = np.argsort(np.where(np.isfinite(train), train, np.inf))
    return float(odds @ log_errors[order][: len(odds)])


def _draw_random(
    key: Key,
    weights: Float[np.ndarray, " I"],
    size: int,
    num: int,
    limits: NetworkSpec,
) -> Network:
    sample = functools.partial(
        prior.sample_small, spec=limits, sampling_weights=jnp.asarray(weights)
    )
    draw = jax.jit(jax.vmap(sample))
    return draw(jax.random.split(key, num), jnp.full(num, size))


def _draw_weights(key: Key, networks: Network) -> Network:
    """Replace the weights of networks as `swajax.prior.sample_small` draws them."""

    def one(key: Key, network: Network) -> Network:
        normal_key, factor_key = jax.random.split(key)
        weights = pack(network)
        drawn = jax.random.normal(normal_key, weights.shape) * (weights != 0)
        factor = jnp.exp(jax.random.uniform(factor_key, minval=-0.5, maxval=1.0))
        return scale_by_fan_in(unpack(drawn, network), factor)

    return jax.jit(jax.vmap(one))(jax.random.split(key, len(networks.depth)), networks)
