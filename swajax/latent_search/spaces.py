"""What gradient descent can search: points of a learned space, or weights themselves.

Each space is a decoder of points for `swajax.latent_search` and a way to draw starts.
The points of `tabular` and `direct` hold the number of weights that may be open as
well; both open the paths of highest score (`swajax.network.gates`) and choose
activations by the same rule, so that the two can be compared.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from swajax import autoencoder, prior
from swajax.autoencoder import AutoencoderConfig, Embedding
from swajax.autoencoder.compact import probe_points
from swajax.latent_search.config import DescentConfig
from swajax.network import count_weights, mask_weights, pack, unpack
from swajax.network.gates import ABSENT_SCORE, bottlenecks, choose, top_k_gates
from swajax.objectives import Objective
from swajax.refine import batches
from swajax.types import Key, Network, NetworkSpec


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


MIN_LOG_SIZE = 1.0
ACTIVATION_LOGIT = 2.0  # of the activation that a start has
ENCODE_BLOCK = 64  # starts encoded together, which bounds the memory


class TabularPoint(NamedTuple):
    """A point of the learned space and the size to decode it at."""

    embedding: Embedding
    log_size: Float[Array, "*B"]


class DirectPoint(NamedTuple):
    """All weights of the largest network, and what is open of it."""

    weights: Float[Array, "*B P"]
    scores: Float[Array, "*B P"]
    activation: Float[Array, "*B L H A"]  # logits
    log_size: Float[Array, "*B"]


@functools.cache
def make_compact_space(config: AutoencoderConfig, *, num_inputs: int) -> Space:
    """The space of `compact` or `paper`, for tables with as many or fewer features.

    The networks keep the weights from their first inputs and lose the others, so that
    what the table does not use is neither counted nor penalized.
    """
    if not 1 <= num_inputs <= config.spec.num_inputs:
        raise ValueError(
            f"num_inputs must be in 1..{config.spec.num_inputs}, got {num_inputs}"
        )

    def decode_fn(params: Any, z: jax.Array, depth: int) -> Network:
        network = autoencoder.decode(params, z, config=config, depth=depth)
        return network._replace(first=network.first[:num_inputs])

    spec = dataclasses.replace(config.spec, num_inputs=num_inputs)
    return Space(decode_fn, spec)


@functools.cache
def make_tabular_space(
    config: AutoencoderConfig, spec: NetworkSpec, objective: Objective
) -> Space:
    """The space of `tabular` for tables with the inputs and outputs of `spec`."""

    def decode_fn(params: Any, z: TabularPoint, depth: int) -> Network:
        return autoencoder.decode(
            params,
            z.embedding,
            config=config,
            depth=depth,
            num_weights=jnp.exp(jnp.maximum(z.log_size, MIN_LOG_SIZE)),
        )

    return Space(decode_fn, _limits(config, spec), objective)


@functools.cache
def make_direct_space(spec: NetworkSpec, objective: Objective) -> Space:
    """The weights themselves as a space; the decoder of a depth takes its layers."""

    def decode_fn(params: None, z: DirectPoint, depth: int) -> Network:
        del params
        is_used = (jnp.arange(spec.max_depth) < depth).astype(z.weights.dtype)
        family = prior.make_family(
            jnp.tile(is_used[:, None], (1, spec.max_width)),
            choose(z.activation),
            jnp.asarray(depth, jnp.int32),
            jnp.ones(spec.num_inputs),
            jnp.ones(spec.num_outputs),
        )
        possible = pack(family)
        scores = unpack(jnp.where(possible > 0, z.scores, ABSENT_SCORE), family)
        order = pack(bottlenecks(scores, depth=depth))
        size = jnp.exp(jnp.maximum(z.log_size, MIN_LOG_SIZE))
        gates = top_k_gates(pack(scores), size, order=order) * possible
        return unpack(z.weights * gates, family)

    return Space(decode_fn, spec, objective)


@functools.partial(jax.jit, static_argnames=("model",))
def encode_starts(
    params: Any, networks: Network, *, model: AutoencoderConfig
) -> TabularPoint:
    """Networks, their outputs standardised, as points of the space of `tabular`."""
    x = jnp.asarray(probe_points(model.num_probes, networks.first.shape[1]))
    networks = prior.standardise(networks, x, activations=model.spec.activations)

    def encode(network: Network) -> TabularPoint:
        z = autoencoder.encode(params, network, config=model)
        return TabularPoint(z, _log_size(network))

    return jax.lax.map(encode, networks, batch_size=ENCODE_BLOCK)


def draw_networks(
    key: Key, config: DescentConfig, spec: NetworkSpec, max_weights: int
) -> Network:
    """Random networks, sorted by size: each start is chosen among those of its size."""
    num = config.num_starts * config.num_screened
    networks = prior.sample_starts(key, num=num, spec=spec, max_weights=max_weights)
    order = np.argsort(batches.count(networks), kind="stable")
    return jax.tree.map(lambda leaf: leaf[order], networks)


@jax.jit
def unfold_starts(key: Key, networks: Network) -> DirectPoint:
    """The same networks as their weights; those that are closed are drawn anew."""

    def unfold(key: Key, network: Network) -> DirectPoint:
        weights = pack(mask_weights(network))
        spare = jax.random.normal(key, weights.shape)
        is_open = weights != 0
        return DirectPoint(
            weights=jnp.where(is_open, weights, spare),
            scores=jnp.abs(spare) * 0.1 + is_open,
            activation=ACTIVATION_LOGIT * network.activation,
            log_size=_log_size(network),
        )

    return jax.vmap(unfold)(jax.random.split(key, len(networks.depth)), networks)


def _log_size(network: Network) -> Float[Array, ""]:
    return jnp.log(count_weights(network).astype(jnp.float32))


def _limits(config: AutoencoderConfig, spec: NetworkSpec) -> NetworkSpec:
    """Limits of the decoders, with the inputs and outputs of a table."""
    return dataclasses.replace(
        config.spec, num_inputs=spec.num_inputs, num_outputs=spec.num_outputs
    )


@functools.cache
def make_space(config: AutoencoderConfig) -> Space:
    """The space of an autoencoder; equal configurations give the same object."""

    def decode(params: Any, z: Float[Array, " Z"], depth: int) -> Network:
        return autoencoder.decode(params, z, config=config, depth=depth)

    return Space(decode, config.spec)


def make_starts(
    key: Key,
    params: Any,
    *,
    config: DescentConfig,
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


draw_compact_starts = jax.jit(
    make_starts, static_argnames=("config", "autoencoder_config")
)
