"""Spaces for a descent: a decoder of points and the family of decoded networks.

`make_space` returns the space of an autoencoder; `swajax.latent_search.direct` has the
space of raw weights.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax import autoencoder
from swajax.autoencoder import AutoencoderConfig, Embedding
from swajax.objectives import Objective
from swajax.types import Network, NetworkSpec

MIN_LOG_SIZE = 1.0  # decoders are asked for at least e = 2.7 weights


@dataclasses.dataclass(frozen=True)
class Space:
    """A space to search (static): decoders, decoded networks and objective.

    Compiled programs are reused only if `decode_fn` is the same object, so pass the
    same function to all descents rather than a new lambda to each.
    """

    decode_fn: Callable[[Any, Any, int], Network]
    """(params, z, depth) to a network of this depth; z may be any pytree"""
    spec: NetworkSpec
    """limits of the decoded networks; depths 1 to max_depth are searched"""
    objective: Objective = "squared"
    """loss per point, averaged to the error of a network"""


class DescentProblem(NamedTuple):
    """A space, the parameters of its decoders, and starts [R K, ...]."""

    space: Space
    params: Any
    starts: Any


class TabularPoint(NamedTuple):
    """A point of the space of `tabular`: an embedding and the size to decode it at."""

    embedding: Embedding
    log_size: Float[Array, "*B"]  # logarithm of the number of weights


@functools.cache
def make_space(
    config: AutoencoderConfig,
    *,
    limits: NetworkSpec | None = None,
    objective: Objective = "squared",
) -> Space:
    """Return the space of an autoencoder; equal arguments give the same object.

    Args:
      config: configuration of the autoencoder.
      limits: number of inputs and outputs of the table, by default those of the
        configuration. Width, depth and activations are those of the autoencoder.
        In networks of a preset with fixed inputs, the weights of surplus inputs are
        removed, so that they are neither counted nor penalized.
      objective: loss per point.

    Raises:
      ValueError: the autoencoder cannot represent networks for such a table.

    Example:
      >>> from swajax.autoencoder import AutoencoderConfig
      >>> make_space(AutoencoderConfig(max_depth=2)).spec.max_depth
      2
    """
    is_cut, limits = limits is not None, limits or config.spec
    if config.is_any_table:
        decode_fn = _decode_at_size(config)
    else:
        if not 1 <= limits.num_inputs <= config.num_inputs:
            raise ValueError(
                f"num_inputs must be in 1..{config.num_inputs}, got {limits.num_inputs}"
            )
        if limits.num_outputs != config.num_outputs:
            raise ValueError(f"num_outputs must be 1, got {limits.num_outputs}")
        # No slice if nothing is cut, since a slice changes the rounding.
        num_inputs = limits.num_inputs if is_cut else None
        decode_fn = _decode_first_inputs(config, num_inputs)
    spec = dataclasses.replace(
        config.spec, num_inputs=limits.num_inputs, num_outputs=limits.num_outputs
    )
    return Space(decode_fn, spec, objective)


def check_table(
    config: AutoencoderConfig, *, num_inputs: int, objective: Objective
) -> None:
    """Reject tables whose networks an autoencoder cannot represent.

    Args:
      config: configuration of the autoencoder.
      num_inputs: number of encoded input columns.
      objective: loss of the task.

    Raises:
      ValueError: too many inputs, or a classification by a preset with one output.
    """
    if config.is_any_table:
        if num_inputs > config.max_inputs:
            raise ValueError(
                f"the space {config.preset} reads at most {config.max_inputs} inputs, "
                f"the table has {num_inputs}"
            )
    elif num_inputs > config.max_inputs or objective != "squared":
        task = "regression" if objective == "squared" else "classification"
        raise ValueError(
            f"the space {config.preset} has networks of up to {config.max_inputs} "
            f"inputs and one number as output, the table is a {task} of {num_inputs} "
            "inputs"
        )


def _decode_at_size(config: AutoencoderConfig) -> Callable[[Any, Any, int], Network]:
    """Return the decoder of a preset for any table."""

    def decode_fn(params: Any, z: TabularPoint, depth: int) -> Network:
        return autoencoder.decode(
            params,
            z.embedding,
            config=config,
            depth=depth,
            num_weights=jnp.exp(jnp.maximum(z.log_size, MIN_LOG_SIZE)),
        )

    return decode_fn


def _decode_first_inputs(
    config: AutoencoderConfig, num_inputs: int | None
) -> Callable[[Any, Any, int], Network]:
    """Return the decoder of a preset with fixed inputs, cut to the first inputs."""

    def decode_fn(params: Any, z: Float[Array, " Z"], depth: int) -> Network:
        network = autoencoder.decode(params, z, config=config, depth=depth)
        if num_inputs is None:
            return network
        return network._replace(first=network.first[:num_inputs])

    return decode_fn
