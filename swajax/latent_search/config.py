"""Configuration, data, variables, optimizer and learning-rate decay of a descent."""

import dataclasses
import functools
import math
from typing import Any, Literal, NamedTuple

import optax
from jaxtyping import Array, Float

from swajax.io import configs

LAST_RATE = 0.01  # learning rate at the end of a cosine decay, relative to the first


@dataclasses.dataclass(frozen=True)
class DescentConfig:
    """Settings of a descent; [paper] marks the values of arXiv:2410.08339.

    Raises:
      ValueError: a count is below one, or the sparsity weights are invalid.
    """

    num_steps: int = 2000
    """maximum number of optimizer steps per candidate, rounded up to whole chunks; the
    learning rates decay over this budget [paper: 30,000]"""
    num_starts: int = 16
    """number of starts per decoder and sparsity weight [paper: 1]"""
    starts: Literal["encoded", "uniform"] = "encoded"
    """starting points: embeddings of random networks (encoded), or uniform in [0, 1)
    (uniform) [paper]"""
    num_screened: int = 32
    """number of points drawn per start; the one with the lowest error is kept
    [paper: 1]"""
    sparsity_weights: tuple[float, ...] = (1 / 7000, 10 / 7000, 30 / 7000, 100 / 7000)
    """weights of the sparsity penalty, relative to its scale; all are searched in
    parallel [paper: 1/7000]"""
    penalty_scale: Literal["variance", "first_mse"] = "variance"
    """scale of the penalty: variance of y (variance), or error at the start (first_mse)
    [paper]"""
    learning_rate: float = 0.1
    """initial learning rate of z"""
    threshold_learning_rate: float = 0.01
    """initial learning rate of the threshold"""
    decay: Literal["cosine", "constant"] = "cosine"
    """decay of both learning rates: to 1 % at the end of the budget (cosine), or none
    (constant) [paper]"""
    max_threshold: float = 3.0
    """upper bound of the threshold; the lower bound is 0"""
    gate_sharpness: float = 100.0
    """slope of the sigmoid in the soft threshold of the weights"""
    count_sharpness: float = 10.0
    """slope of the sigmoid in the soft count of weights above the threshold"""
    count_cost: float = 0.5
    """penalty per weight above the threshold"""
    size_cost: float = 0.1
    """penalty per unit of the absolute value of a weight"""
    chunk_steps: int = 50
    """number of steps between validations, and between reports"""
    block_size: int = 16_384
    """maximum of candidates times points that are evaluated at once; bounds the
    memory"""

    def __post_init__(self) -> None:
        """Reject counts below one and sparsity weights that are empty or negative."""
        configs.convert_fields(self)
        counts = "num_steps", "num_starts", "num_screened", "chunk_steps", "block_size"
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not self.sparsity_weights or not min(self.sparsity_weights) >= 0:
            raise ValueError(
                f"sparsity_weights must be one or more numbers >= 0, "
                f"got {self.sparsity_weights}"
            )


class Data(NamedTuple):
    """Training and validation rows of a table, scaled to about unit size."""

    x: Float[Array, "*B N I"]
    y: Float[Array, "*B N O"]
    x_valid: Float[Array, "*B M I"]
    y_valid: Float[Array, "*B M O"]


class Point(NamedTuple):
    """The optimized variables of a candidate."""

    z: Any  # [*B, Z] or a pytree of such arrays
    threshold: Float[Array, "*B"]


@functools.cache
def make_optimizer(config: DescentConfig) -> optax.GradientTransformation:
    """Return Adam on a `Point`, with separate learning rates for z and the threshold.

    With `decay` "cosine", both decay to 1 % over `num_steps` steps.
    """

    def adam(learning_rate: float) -> optax.GradientTransformation:
        if config.decay == "constant":
            return optax.adam(learning_rate)
        return optax.adam(
            optax.cosine_decay_schedule(learning_rate, config.num_steps, LAST_RATE)
        )

    return optax.partition(
        {"z": adam(config.learning_rate), "t": adam(config.threshold_learning_rate)},
        Point(z="z", threshold="t"),
    )


def decay_factor(progress: float | int, *, config: DescentConfig) -> float:
    """Return the learning rate relative to its initial value, on the host.

    Args:
      progress: used share of the budget, in [0, 1].
      config: with `decay` "cosine" the result falls from 1 to 0.01; with "constant" it
        is always 1.

    Example:
      >>> decay_factor(0.5, config=DescentConfig())
      0.505
    """
    if config.decay == "constant":
        return 1.0
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * progress)) / 2
