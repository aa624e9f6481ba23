"""What is searched and how: configuration, space, data, optimizer, starts."""

import dataclasses
import functools
from typing import Any, Literal, NamedTuple

import optax
from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True)
class DescentConfig:
    """How to search; numbers of arXiv:2410.08339 (search) unless it says otherwise."""

    num_steps: int = 2000
    """optimizer steps of each candidate, rounded up to whole chunks (paper: 30,000)"""
    num_starts: int = 16
    """starts for each decoder and sparsity weight (paper: 1)"""
    starts: Literal["encoded", "uniform"] = "encoded"
    """embeddings of random networks, or uniform in [0, 1) as in the paper"""
    num_screened: int = 32
    """starts drawn for each one searched: that of lowest error is kept (paper: 1)"""
    sparsity_weights: tuple[float, ...] = (1 / 7000, 10 / 7000, 30 / 7000, 100 / 7000)
    """weights of the penalty relative to its scale, searched at once (paper: 1/7000)"""
    penalty_scale: Literal["variance", "first_mse"] = "variance"
    """error the penalty is relative to: of the mean of y, or of the start (paper)"""
    learning_rate: float = 0.1
    """step size of z"""
    threshold_learning_rate: float = 0.01
    """step size of the threshold"""
    decay: Literal["cosine", "constant"] = "cosine"
    """course of both step sizes over the steps (paper: constant)"""
    max_threshold: float = 3.0
    """the threshold is kept between 0 and this"""
    gate_sharpness: float = 100.0
    """steepness of the soft threshold on the weights"""
    count_sharpness: float = 10.0
    """steepness of the soft count of weights above the threshold"""
    count_cost: float = 0.5
    """penalty of one weight above the threshold"""
    size_cost: float = 0.1
    """penalty of a weight per unit of its absolute value"""
    chunk_steps: int = 50
    """steps between two validations, and between two reports to the host"""
    block_size: int = 16_384
    """candidates times points evaluated together: bounds the memory of a step"""

    def __post_init__(self) -> None:
        """Reject counts below one and sparsity weights that are none or negative."""
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
    """Training and validation part of a table; the test part never comes here."""

    x: Float[Array, "*B N I"]
    y: Float[Array, "*B N O"]
    x_valid: Float[Array, "*B M I"]
    y_valid: Float[Array, "*B M O"]


class Point(NamedTuple):
    """What is optimized for each candidate."""

    z: Any  # [*B, Z] or a pytree of such
    threshold: Float[Array, "*B"]


@functools.cache
def make_optimizer(config: DescentConfig) -> optax.GradientTransformation:
    """Adam on a `Point`, one step size for z and one for the threshold."""

    def adam(learning_rate: float) -> optax.GradientTransformation:
        if config.decay == "constant":
            return optax.adam(learning_rate)
        return optax.adam(
            optax.cosine_decay_schedule(learning_rate, config.num_steps, alpha=0.01)
        )

    return optax.partition(
        {"z": adam(config.learning_rate), "t": adam(config.threshold_learning_rate)},
        Point(z="z", threshold="t"),
    )
