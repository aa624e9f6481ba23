"""What is searched and how: configuration, space, data, optimizer, starts."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from swajax import autoencoder, prior
from swajax.autoencoder import AutoencoderConfig
from swajax.objectives import Objective
from swajax.types import Key, Network, NetworkSpec


@dataclasses.dataclass(frozen=True)
class SearchConfig:
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


@dataclasses.dataclass(frozen=True)
class Space:
    """What is searched (static): a decoder for each depth, and the family it decodes.

    A compiled program is used again while `decode_fn` is the same object, so keep one
    function rather than making a new lambda for each search.
    """

    decode_fn: Callable[[Any, Any, int], Network]
    """(params, z, depth) to a network of this depth; z may be any pytree"""
    spec: NetworkSpec
    """limits of the decoded networks; depths 1 to max_depth are searched"""
    objective: Objective = "squared"
    """loss of a point, of which the errors are means"""


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
def make_space(config: AutoencoderConfig) -> Space:
    """The space of an autoencoder; equal configurations give the same object."""

    def decode(params: Any, z: Float[Array, " Z"], depth: int) -> Network:
        return autoencoder.decode(params, z, config=config, depth=depth)

    return Space(decode, config.spec)


@functools.cache
def make_optimizer(config: SearchConfig) -> optax.GradientTransformation:
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


def make_starts(
    key: Key,
    params: Any,
    *,
    config: SearchConfig,
    autoencoder_config: AutoencoderConfig,
) -> Float[Array, "RK Z"]:
    """Starting points: K = `num_screened` draws, one after another, for each of R.

    Args:
      key: consumed; the first k starts do not depend on `num_starts`.
      params: of the autoencoder.
      config: `num_starts`, `num_screened` and the kind of `starts`.
      autoencoder_config: configuration of the autoencoder.
    """

    def start(index: Int[Array, ""]) -> Float[Array, " Z"]:
        own_key = jax.random.fold_in(key, index)
        if config.starts == "uniform":
            return jax.random.uniform(own_key, (autoencoder_config.embedding_size,))
        network = prior.sample(own_key, spec=autoencoder_config.spec)
        return autoencoder.encode(params, network, config=autoencoder_config)

    num = config.num_starts * config.num_screened
    return jax.vmap(start)(jnp.arange(num))
