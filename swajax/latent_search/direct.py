"""The space of raw weights, for comparison with learned spaces.

As in the space of `tabular`, a point contains the number of active weights, weights are
selected by the best path through them (`swajax.network.gates`), and activations are
chosen by logits, so that the two spaces differ only in the parametrization.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.latent_search.config import DescentConfig
from swajax.latent_search.spaces import MIN_LOG_SIZE, Space
from swajax.latent_search.starts import log_size, sample_sorted
from swajax.network import make_family, mask_weights, pack, unpack
from swajax.network.gates import ABSENT_SCORE, bottlenecks, choose, top_k_gates
from swajax.objectives import Objective
from swajax.types import Key, Network, NetworkSpec

ACTIVATION_LOGIT = 2.0  # logit of the activation of a start; the others have 0


class DirectPoint(NamedTuple):
    """All weights of the largest network, and the selection of active weights."""

    weights: Float[Array, "*B P"]
    scores: Float[Array, "*B P"]
    activation: Float[Array, "*B L H A"]  # logits
    log_size: Float[Array, "*B"]  # logarithm of the number of active weights


@functools.cache
def make_direct_space(spec: NetworkSpec, objective: Objective) -> Space:
    """Return the space of the weights; equal arguments give the same object.

    The decoder of a depth uses the leading layers.

    Args:
      spec: limits of the networks.
      objective: loss per point.
    """

    def decode_fn(params: None, z: DirectPoint, depth: int) -> Network:
        del params
        is_used = (jnp.arange(spec.max_depth) < depth).astype(z.weights.dtype)
        family = make_family(
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


def make_direct_starts(
    key: Key, *, config: DescentConfig, spec: NetworkSpec, max_weights: int
) -> DirectPoint:
    """Return R K random networks as points, sorted by size.

    Args:
      key: consumed.
      config: `num_starts` R and `num_screened` K.
      spec: limits of the networks.
      max_weights: maximum number of weights per network.
    """
    key, network_key = jax.random.split(key)
    networks = sample_sorted(
        network_key, config=config, spec=spec, max_weights=max_weights
    )
    return unfold_starts(key, networks)


@jax.jit
def unfold_starts(key: Key, networks: Network) -> DirectPoint:
    """Return networks as points; inactive weights get random values.

    Args:
      key: consumed.
      networks: leaves [B, ...].
    """

    def unfold(key: Key, network: Network) -> DirectPoint:
        weights = pack(mask_weights(network))
        spare = jax.random.normal(key, weights.shape)
        is_active = weights != 0
        return DirectPoint(
            weights=jnp.where(is_active, weights, spare),
            scores=jnp.abs(spare) * 0.1 + is_active,
            activation=ACTIVATION_LOGIT * network.activation,
            log_size=log_size(network),
        )

    return jax.vmap(unfold)(jax.random.split(key, len(networks.depth)), networks)
