"""Dense networks with hard-concrete gates on all weights, then a refit.

Louizos, Welling and Kingma, arXiv:1712.01312: a gate is a stretched and clipped
concrete variable. It is exactly 0 or 1 with positive probability, and the probability
of being active, which is penalized, has a gradient.
"""

import dataclasses
import math
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

# arXiv:1712.01312, section 4: temperature and interval of the stretched gates.
BETA, LOW, HIGH = 2 / 3, -0.1, 1.1


@dataclasses.dataclass(frozen=True)
class Config(TrainConfig):
    """Learning rates, penalties and stages."""

    # One trial on two tasks each: 0.005 was no better.
    learning_rate: float = 0.02
    """learning rate of Adam for weights, with cosine decay"""
    gate_learning_rate: float = 0.05
    """learning rate of Adam for the logits of the gates"""
    min_penalty: float = 1e-4
    """smallest penalty per active gate, in units of the loss"""
    # With 0.03 one trial found few networks of ten weights.
    max_penalty: float = 0.1
    """largest penalty; penalties are log-uniform"""
    first_logit: float = 2.2
    """initial logits of the gates: active with probability 0.9"""
    gate_share: float = 0.7
    """share of the steps after which gates are fixed and weights fine-tuned"""

    def __post_init__(self) -> None:
        """Check numbers."""
        check_positive(self, but=("lm_steps", "first_logit"))
        if not self.gate_share < 1:
            raise ValueError(f"gate_share must be < 1, got {self.gate_share}")
        if not self.min_penalty <= self.max_penalty:
            raise ValueError(
                f"max_penalty must be >= {self.min_penalty}, got {self.max_penalty}"
            )


class Gated(NamedTuple):
    """Trained variables."""

    weights: Float[Array, "B P"]
    logits: Float[Array, "B P"]


class State(NamedTuple):
    """Variables and optimizer state of all networks."""

    gated: Gated
    opt_state: Any


def find_networks(key: Key, search: Search, *, config: Config) -> None:
    """Train a batch of dense networks with gates, each with its own penalty."""
    draw_key, penalty_key, train_key = jax.random.split(key, 3)
    num = config.num_networks
    networks = training.draw_dense(draw_key, search, num=num)
    task = training.make_task(
        search, networks, draw_penalties(penalty_key, num, config)
    )
    weights = jax.vmap(pack)(networks)
    gated = Gated(weights, jnp.full_like(weights, config.first_logit))
    state = State(gated, ADAM.init(gated))
    gated = training.train(train_key, step, state, task, search, config=config).gated
    weights = gated.weights * expected_gates(gated.logits)
    found = training.with_weights(networks, weights)
    search.refit(found, num_steps=config.lm_steps)


def draw_penalties(key: Key, num: int, config: Config) -> Float[Array, " B"]:
    """Draw log-uniform penalties per active gate."""
    ends = math.log(config.min_penalty), math.log(config.max_penalty)
    return jnp.exp(jax.random.uniform(key, (num,), minval=ends[0], maxval=ends[1]))


def step(
    state: State,
    task: TrainTask,
    key: Key,
    progress: Float[Array, ""],
    *,
    fit: Fit,
    config: Config,
) -> State:
    """Take a step of Adam on weights and gates; in the last stage on weights."""
    is_gating = progress < config.gate_share
    is_there = jax.vmap(pack)(task.networks) != 0
    noise = jax.random.uniform(key, is_there.shape, minval=1e-6, maxval=1 - 1e-6)

    def total(gated: Gated) -> Float[Array, ""]:
        drawn = sample_gates(gated.logits, noise)
        # In the last stage gates are constant.
        gates = jnp.where(is_gating, drawn, expected_gates(gated.logits))
        networks = training.with_weights(task.networks, gated.weights * gates)
        num_active = (active_probability(gated.logits) * is_there).sum(axis=1)
        loss = training.mean_losses(networks, task.train, fit=fit)
        return (loss + task.goal * num_active).sum()

    gradient = jax.grad(total)(state.gated)
    updates, opt_state = ADAM.update(gradient, state.opt_state)
    rate = training.learning_rate(config.learning_rate, progress)
    gate_rate = jnp.where(is_gating, config.gate_learning_rate, 0.0)
    updates = Gated(-rate * updates.weights * is_there, -gate_rate * updates.logits)
    return State(optax.apply_updates(state.gated, updates), opt_state)


def sample_gates(
    logits: Float[Array, "B P"], noise: Float[Array, "B P"]
) -> Float[Array, "B P"]:
    """Sample hard-concrete gates from uniform noise (arXiv:1712.01312, eq. 10, 11)."""
    log_odds = jnp.log(noise) - jnp.log1p(-noise)
    return _stretch(jax.nn.sigmoid((log_odds + logits) / BETA))


def expected_gates(logits: Float[Array, "B P"]) -> Float[Array, "B P"]:
    """Return gates without noise, exactly 0 for logits below about -2.4 (eq. 13)."""
    return _stretch(jax.nn.sigmoid(logits))


def active_probability(logits: Float[Array, "B P"]) -> Float[Array, "B P"]:
    """Return the probability that each gate is not zero (eq. 12)."""
    return jax.nn.sigmoid(logits - BETA * math.log(-LOW / HIGH))


def _stretch(values: Float[Array, "B P"]) -> Float[Array, "B P"]:
    return jnp.clip(values * (HIGH - LOW) + LOW, 0.0, 1.0)
