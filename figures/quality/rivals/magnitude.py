"""Dense networks, Adam, gradual magnitude pruning and a refit of what is left.

Zhu and Gupta, arXiv:1710.01878: the number of weights falls along a cubic from all to
the size asked for, and each time the smallest ones go for good.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from figures.quality.rivals import training
from figures.quality.rivals.common import Search, check_positive
from figures.quality.rivals.training import ADAM, TrainConfig, TrainTask
from swajax.network import pack
from swajax.refine.quadratic import Fit
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class Config(TrainConfig):
    """How networks are trained and pruned."""

    # In one trial each, 0.02 was worse on two tasks, and longer but fewer runs as well.
    learning_rate: float = 0.005
    """of Adam; constant while weights are pruned, then falling along a cosine"""
    prune_begin: float = 0.1
    """share of the steps before the first weight goes"""
    prune_end: float = 0.6
    """share of the steps before the last weight goes"""

    def __post_init__(self) -> None:
        """Reject numbers that cannot be."""
        check_positive(self, but=("lm_steps", "prune_begin"))
        if not self.prune_begin < self.prune_end < 1:
            raise ValueError(
                f"prune_end must be in ({self.prune_begin}, 1), got {self.prune_end}"
            )


class State(NamedTuple):
    """Weights of all networks, pruned ones zero."""

    weights: Float[Array, "B P"]
    opt_state: Any


def find(key: Key, search: Search, *, config: Config) -> None:
    """Train a batch of dense networks, each pruned to a size of its own."""
    draw_key, size_key, train_key = jax.random.split(key, 3)
    networks = training.draw_dense(draw_key, search, num=config.num_networks)
    sizes = training.draw_sizes(size_key, search, num=config.num_networks)
    task = training.make_task(search, networks, sizes)
    weights = jax.vmap(pack)(networks)
    state = State(weights, ADAM.init(weights))
    state = training.train(train_key, step, state, task, search, config=config)
    pruned = training.with_weights(networks, state.weights)
    search.refit(pruned, num_steps=config.lm_steps)


def step(
    state: State,
    task: TrainTask,
    key: Key,
    progress: Float[Array, ""],
    *,
    fit: Fit,
    config: Config,
) -> State:
    """A step of Adam on the weights that are left, then the smallest ones go."""
    del key
    is_left = state.weights != 0

    def total(weights: Float[Array, "B P"]) -> Float[Array, ""]:
        networks = training.with_weights(task.networks, weights)
        return training.mean_losses(networks, task.train, fit=fit).sum()

    gradient = jax.grad(total)(state.weights) * is_left
    updates, opt_state = ADAM.update(gradient, state.opt_state)
    rate = training.learning_rate(
        config.learning_rate, progress, restart=config.prune_end
    )
    weights = optax.apply_updates(state.weights, -rate * updates * is_left)
    first = jnp.sign(jnp.abs(jax.vmap(pack)(task.networks))).sum(axis=1)
    sizes = scheduled_sizes(first, task.goal, progress, config=config)
    kept = training.is_largest(weights, sizes)
    return State(jnp.where(kept, weights, 0.0), opt_state)


def scheduled_sizes(
    first: Float[Array, " B"],
    last: Float[Array, " B"],
    progress: Float[Array, ""],
    *,
    config: Config,
) -> Float[Array, " B"]:
    """Weights that may be left at some point of the run (arXiv:1710.01878, eq. 1)."""
    part = (progress - config.prune_begin) / (config.prune_end - config.prune_begin)
    left = (1.0 - jnp.clip(part, 0.0, 1.0)) ** 3
    return jnp.ceil(last + jnp.maximum(first - last, 0.0) * left)
