"""Dense networks, Adam, gradual magnitude pruning and a refit.

Zhu and Gupta, arXiv:1710.01878: the number of weights follows a cubic schedule down to
the requested size; the weights of least magnitude are removed for good.
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
    """Learning rate and pruning schedule."""

    # In one trial each on two tasks, 0.02 was worse, and so were longer but fewer runs.
    learning_rate: float = 0.005
    """learning rate of Adam; constant while pruning, then cosine decay"""
    prune_begin: float = 0.1
    """share of the steps before the first weight is removed"""
    prune_end: float = 0.6
    """share of the steps after which no weight is removed"""

    def __post_init__(self) -> None:
        """Check numbers."""
        check_positive(self, but=("lm_steps", "prune_begin"))
        if not self.prune_begin < self.prune_end < 1:
            raise ValueError(
                f"prune_end must be in ({self.prune_begin}, 1), got {self.prune_end}"
            )


class State(NamedTuple):
    """Weights of all networks (pruned ones are zero) and optimizer state."""

    weights: Float[Array, "B P"]
    opt_state: Any


def find_networks(key: Key, search: Search, *, config: Config) -> None:
    """Train a batch of dense networks and prune each to its own size."""
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
    """Take a step of Adam on the remaining weights, then prune."""
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
    """Return the scheduled numbers of weights (arXiv:1710.01878, eq. 1)."""
    part = (progress - config.prune_begin) / (config.prune_end - config.prune_begin)
    left = (1.0 - jnp.clip(part, 0.0, 1.0)) ** 3
    return jnp.ceil(last + jnp.maximum(first - last, 0.0) * left)
