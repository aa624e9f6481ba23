"""DARTS chooses activations, ADMM prunes weights, then a refit.

The rival of arXiv:2506.08270. Differentiable architecture search (Liu et al.,
arXiv:1806.09055, first order) chooses the activation of each neuron: softmax mixtures
are trained on validation data in turn with the weights. The alternating direction
method of multipliers (Zhang et al., arXiv:1804.03294) then pulls the weights to
networks of a given size.
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
    """Learning rates, stages and penalty."""

    # In trials 0.02 was worse.
    learning_rate: float = 0.005
    """learning rate of Adam for weights; cosine decay in the last stage"""
    mixture_learning_rate: float = 0.02
    """learning rate of Adam for the logits of activations"""
    search_share: float = 0.3
    """share of the steps that choose activations"""
    admm_share: float = 0.4
    """share of the steps with the ADMM penalty"""
    num_admm: int = 20
    """number of updates of the ADMM target"""
    # In trials 0.1, which removes small weights too early, had twice the error.
    admm_pull: float = 0.01
    """penalty rho: half of this times the squared distance is added to the loss"""

    def __post_init__(self) -> None:
        """Check numbers."""
        check_positive(self, but=("lm_steps",))
        if not self.prune_at < 1:
            raise ValueError(
                f"search_share + admm_share must be < 1, got {self.prune_at}"
            )

    @property
    def prune_at(self) -> float:
        """Return the share of the steps after which weights are pruned."""
        return self.search_share + self.admm_share


class State(NamedTuple):
    """Weights, logits, optimizer states and ADMM variables of all networks."""

    weights: Float[Array, "B P"]
    logits: Float[Array, "B L H A"]  # of activations
    weight_state: Any
    logit_state: Any
    target: Float[Array, "B P"]  # Z of ADMM
    dual: Float[Array, "B P"]  # U
    num_updates: Int[Array, ""]  # of target and dual


def find_networks(key: Key, search: Search, *, config: Config) -> None:
    """Train a batch of networks and prune each to its own size."""
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
    """Return the initial state with equal shares of all activations."""
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
    """Take one step of all networks in the stage of the progress."""
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
    """Return shares of the activations: softmax, or one-hot once decided."""
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
    """Take a step of the mixtures on the validation loss with fixed weights."""
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
    """Set Z to the projection of W + U on the given sizes, then U += W - Z."""
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
    """Take a step of Adam on the training loss plus, with ADMM, the distance."""
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
