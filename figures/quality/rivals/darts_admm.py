"""Activations chosen by a relaxation, then weights pruned by ADMM, then a refit.

The rival that arXiv:2506.08270 compares with: differentiable architecture search (Liu
et al., arXiv:1806.09055, first order) decides the activation of each neuron, mixtures
by softmax being trained on validation data in turn with the weights; the alternating
direction method of multipliers (Zhang et al., arXiv:1804.03294) then draws the weights
to networks of a given size.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from figures.quality.rivals import training
from figures.quality.rivals.common import Search, check_positive
from figures.quality.rivals.training import ADAM, TrainConfig, TrainTask
from swajax.network import pack
from swajax.refine.quadratic import Fit
from swajax.types import Key, Network


@dataclasses.dataclass(frozen=True)
class Config(TrainConfig):
    """How activations are chosen and weights pruned."""

    # In trials 0.02 was worse.
    learning_rate: float = 0.005
    """of Adam, for weights; falls along a cosine in the last part"""
    mixture_learning_rate: float = 0.02
    """of Adam, for the logits of activations"""
    search_share: float = 0.3
    """share of the steps in which activations are chosen"""
    admm_share: float = 0.4
    """share of the steps in which weights are drawn to few"""
    num_admm: int = 20
    """updates of what weights are drawn to"""
    # In trials 0.1, which takes small weights away too soon, had twice the error.
    admm_pull: float = 0.01
    """penalty rho: half of this times the squared distance is added to the loss"""

    def __post_init__(self) -> None:
        """Reject numbers that cannot be."""
        check_positive(self, but=("lm_steps",))
        if not self.prune_at < 1:
            raise ValueError(
                f"search_share + admm_share must be < 1, got {self.prune_at}"
            )

    @property
    def prune_at(self) -> float:
        """Share of the steps after which weights are pruned."""
        return self.search_share + self.admm_share


class State(NamedTuple):
    """All networks, and what draws their weights."""

    weights: Float[Array, "B P"]
    logits: Float[Array, "B L H A"]  # of activations
    weight_state: Any
    logit_state: Any
    target: Float[Array, "B P"]  # Z of ADMM: at most so many weights
    dual: Float[Array, "B P"]  # U
    num_updates: Int[Array, ""]  # of target and dual


def find(key: Key, search: Search, *, config: Config) -> None:
    """Train a batch of networks, each pruned to a size of its own."""
    draw_key, size_key, train_key = jax.random.split(key, 3)
    networks = training.draw_dense(draw_key, search, num=config.num_networks)
    sizes = training.draw_sizes(size_key, search, num=config.num_networks)
    task = training.make_task(search, networks, sizes)
    state = make_state(networks)
    state = training.train(train_key, step, state, task, search, config=config)
    networks = networks._replace(activation=mix(state.logits, is_decided=True))
    found = training.with_weights(networks, state.weights)
    search.refit(found, num_steps=config.lm_steps)


def make_state(networks: Network) -> State:
    """The state before the first step; all activations have like shares."""
    weights = jax.vmap(pack)(networks)
    logits = jnp.zeros_like(networks.activation)
    return State(
        weights=weights,
        logits=logits,
        weight_state=ADAM.init(weights),
        logit_state=ADAM.init(logits),
        target=weights,
        dual=jnp.zeros_like(weights),
        num_updates=jnp.asarray(0, jnp.int32),
    )


def step(
    state: State,
    task: TrainTask,
    key: Key,
    progress: Float[Array, ""],
    *,
    fit: Fit,
    config: Config,
) -> State:
    """One step of all networks, whichever stage they are in."""
    del key
    is_searching = progress < config.search_share
    state = jax.lax.cond(
        is_searching,
        lambda s: _choose_activations(s, task, progress, fit=fit, config=config),
        lambda s: s,
        state,
    )
    part = (progress - config.search_share) / config.admm_share
    is_due = (part >= 0) & (part < 1)
    is_due &= jnp.floor(part * config.num_admm) >= state.num_updates
    state = jax.lax.cond(is_due, lambda s: _update_target(s, task), lambda s: s, state)
    state = _train_weights(state, task, progress, fit=fit, config=config)
    kept = training.is_largest(state.weights, task.goal) | (progress < config.prune_at)
    return state._replace(weights=jnp.where(kept, state.weights, 0.0))


def mix(
    logits: Float[Array, "B L H A"], *, is_decided: Array | bool
) -> Float[Array, "B L H A"]:
    """Shares of the activations: a softmax, or all to the largest once decided."""
    hard = jax.nn.one_hot(logits.argmax(axis=-1), logits.shape[-1])
    return jnp.where(is_decided, hard, jax.nn.softmax(logits))


def _choose_activations(
    state: State,
    task: TrainTask,
    progress: Float[Array, ""],
    *,
    fit: Fit,
    config: Config,
) -> State:
    """A step of the mixtures by the validation loss, at the present weights."""
    del progress

    def total(logits: Float[Array, "B L H A"]) -> Float[Array, ""]:
        networks = task.networks._replace(activation=mix(logits, is_decided=False))
        networks = training.with_weights(networks, state.weights)
        return training.mean_losses(networks, task.valid, fit=fit).sum()

    gradient = jax.grad(total)(state.logits)
    updates, logit_state = ADAM.update(gradient, state.logit_state)
    logits = state.logits - config.mixture_learning_rate * updates
    return state._replace(logits=logits, logit_state=logit_state)


def _update_target(state: State, task: TrainTask) -> State:
    """The network of so many weights nearest to W + U, then U += W - Z."""
    moved = state.weights + state.dual
    target = jnp.where(training.is_largest(moved, task.goal), moved, 0.0)
    dual = state.dual + state.weights - target
    num_updates = state.num_updates + 1
    return state._replace(target=target, dual=dual, num_updates=num_updates)


def _train_weights(
    state: State,
    task: TrainTask,
    progress: Float[Array, ""],
    *,
    fit: Fit,
    config: Config,
) -> State:
    """A step of Adam on the training loss, and on the distance in the stage of ADMM."""
    is_decided = progress >= config.search_share
    is_pulled = is_decided & (progress < config.prune_at)
    pull = jnp.where(is_pulled, config.admm_pull, 0.0)
    mixed = mix(state.logits, is_decided=is_decided)
    is_left = state.weights != 0

    def total(weights: Float[Array, "B P"]) -> Float[Array, ""]:
        networks = task.networks._replace(activation=mixed)
        networks = training.with_weights(networks, weights)
        distance = jnp.square(weights - state.target + state.dual).sum(axis=1)
        loss = training.mean_losses(networks, task.train, fit=fit)
        return (loss + pull / 2 * distance).sum()

    gradient = jax.grad(total)(state.weights) * is_left
    updates, weight_state = ADAM.update(gradient, state.weight_state)
    rate = training.learning_rate(
        config.learning_rate, progress, restart=config.prune_at
    )
    weights = optax.apply_updates(state.weights, -rate * updates * is_left)
    return state._replace(weights=weights, weight_state=weight_state)
