"""Settings of supernet training, and the optimizers of weights and vectors."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from swajax.io import configs


@dataclasses.dataclass(frozen=True)
class SupernetConfig:
    """Settings of supernet training; defaults of arXiv:2312.10440 unless noted."""

    num_steps: int = 1500
    """number of training steps, each with one batch for architectures and one for
    weights"""
    batch_size: int = 64
    """number of rows per batch, drawn with replacement"""
    learning_rate: float = 1e-2
    """peak learning rate of the weights (Adam); cosine decay to one hundredth"""
    weight_decay: float = 5e-4
    """weight decay of the weights"""
    max_norm: float = 5.0
    """maximum norm of the gradient of the weights; larger gradients are clipped"""
    alpha_learning_rate: float = 1e-2
    """learning rate of the architecture vectors; 3e-4 in the paper, whose runs are far
    longer"""
    alpha_weight_decay: float = 1e-3
    """weight decay of the architecture vectors; use 0 with a divergence weight"""
    order: Literal["first", "second"] = "first"
    """gradient of the architecture vectors: at the current weights (first), or after
    one more step of the weights (second)"""

    def __post_init__(self) -> None:
        """Reject numbers out of range."""
        configs.convert_fields(self)
        for name in ("num_steps", "batch_size", "learning_rate", "max_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("weight_decay", "alpha_learning_rate", "alpha_weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")


def make_weight_optimizer(config: SupernetConfig) -> optax.GradientTransformation:
    """Return Adam with gradient clipping, weight decay and cosine decay."""
    schedule = optax.cosine_decay_schedule(
        config.learning_rate, config.num_steps, alpha=0.01
    )
    return optax.chain(
        optax.clip_by_global_norm(config.max_norm),
        scale_by_per_weight_adam(),
        optax.add_decayed_weights(config.weight_decay),
        optax.scale_by_learning_rate(schedule),
    )


class PerWeightAdamState(NamedTuple):
    """Number of steps and moments of each weight."""

    count: PyTree
    mean: PyTree
    square: PyTree


def scale_by_per_weight_adam(
    *, decay: float = 0.9, square_decay: float = 0.999, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Return Adam (arXiv:1412.6980) with one step count per weight.

    `gradients.masked_update` excludes weights from steps. With one shared count, the
    bias correction would move rarely updated weights several times too far.
    """

    def init(params: Any) -> PerWeightAdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return PerWeightAdamState(zeros, zeros, zeros)

    def update(
        gradient: Any, state: PerWeightAdamState, params: Any = None
    ) -> tuple[Any, PerWeightAdamState]:
        del params

        def move(rate: float, moments: Any, values: Any) -> Any:
            return jax.tree.map(lambda m, v: rate * m + (1 - rate) * v, moments, values)

        count = jax.tree.map(lambda c: c + 1, state.count)
        mean = move(decay, state.mean, gradient)
        square = move(square_decay, state.square, jax.tree.map(jnp.square, gradient))

        def step(c: Any, m: Any, s: Any) -> Any:
            m, s = m / (1 - decay**c), s / (1 - square_decay**c)
            # The second-order gradient differentiates the root, which is singular at 0.
            return m / (jnp.sqrt(s + 1e-12) + epsilon)

        steps = jax.tree.map(step, count, mean, square)
        return steps, PerWeightAdamState(count, mean, square)

    return optax.GradientTransformation(init, update)


def make_alpha_optimizer(config: SupernetConfig) -> optax.GradientTransformation:
    """Return Adam with L2 regularisation and betas 0.5 and 0.999.

    arXiv:2312.10440 uses it for the vectors of all its spaces.
    """
    return optax.chain(
        optax.add_decayed_weights(config.alpha_weight_decay),
        optax.scale_by_adam(b1=0.5, b2=0.999),
        optax.scale_by_learning_rate(config.alpha_learning_rate),
    )
