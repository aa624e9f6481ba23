"""How supernets are trained: numbers of a search, optimizers of weights and vectors."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from swajax.io import configs


@dataclasses.dataclass(frozen=True)
class SupernetConfig:
    """How a supernet is trained; numbers of the paper where it has them."""

    num_steps: int = 1500
    """steps, each of one batch for architectures and one for weights"""
    batch_size: int = 64
    """rows a batch, drawn with repetition"""
    learning_rate: float = 1e-2
    """of the weights by Adam; falls along a cosine to a hundredth"""
    weight_decay: float = 5e-4
    """of the weights"""
    max_norm: float = 5.0
    """of the gradient by the weights"""
    alpha_learning_rate: float = 1e-2
    """of the vectors; 3e-4 in the paper, whose runs are far longer"""
    alpha_weight_decay: float = 1e-3
    """of the vectors; 0 with the divergence of drnas"""
    order: Literal["first", "second"] = "first"
    """whether the vectors look ahead by one step of the weights"""

    def __post_init__(self) -> None:
        """Reject numbers that cannot be."""
        configs.check_choices(self)
        for name in ("num_steps", "batch_size", "learning_rate", "max_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("weight_decay", "alpha_learning_rate", "alpha_weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")


def make_weight_optimizer(config: SupernetConfig) -> optax.GradientTransformation:
    """Adam with a bounded gradient, weight decay and a cosine."""
    schedule = optax.cosine_decay_schedule(
        config.learning_rate, config.num_steps, alpha=0.01
    )
    return optax.chain(
        optax.clip_by_global_norm(config.max_norm),
        scale_by_own_adam(),
        optax.add_decayed_weights(config.weight_decay),
        optax.scale_by_learning_rate(schedule),
    )


class OwnAdamState(NamedTuple):
    """Steps and moments of each weight."""

    count: PyTree
    mean: PyTree
    square: PyTree


def scale_by_own_adam(
    *, decay: float = 0.9, square_decay: float = 0.999, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Adam (arXiv:1412.6980) whose bias correction counts the steps of each weight.

    A weight that steps leave out (`gradients.masked_update`) has as many as it was
    part of: with one count for all, what is seldom used moves several times too far.
    """

    def init(params: Any) -> OwnAdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return OwnAdamState(zeros, zeros, zeros)

    def update(
        gradient: Any, state: OwnAdamState, params: Any = None
    ) -> tuple[Any, OwnAdamState]:
        del params

        def move(rate: float, moments: Any, values: Any) -> Any:
            return jax.tree.map(lambda m, v: rate * m + (1 - rate) * v, moments, values)

        count = jax.tree.map(lambda c: c + 1, state.count)
        mean = move(decay, state.mean, gradient)
        square = move(square_decay, state.square, jax.tree.map(jnp.square, gradient))

        def step(c: Any, m: Any, s: Any) -> Any:
            m, s = m / (1 - decay**c), s / (1 - square_decay**c)
            # Looking ahead differentiates the root, which needs more than 0 in it.
            return m / (jnp.sqrt(s + 1e-12) + epsilon)

        steps = jax.tree.map(step, count, mean, square)
        return steps, OwnAdamState(count, mean, square)

    return optax.GradientTransformation(init, update)


def make_alpha_optimizer(config: SupernetConfig) -> optax.GradientTransformation:
    """Adam with the weight decay in the gradient, betas 0.5 and 0.999.

    As arXiv:2312.10440 has it for the vectors of all its spaces.
    """
    return optax.chain(
        optax.add_decayed_weights(config.alpha_weight_decay),
        optax.scale_by_adam(b1=0.5, b2=0.999),
        optax.scale_by_learning_rate(config.alpha_learning_rate),
    )
