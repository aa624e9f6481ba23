"""Random weights and activations, for the distributions of this package."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from swajax.network import mask_weights, pack, unpack
from swajax.network.gates import kth_largest
from swajax.types import Key, Network, NetworkSpec


def draw_weights(
    key: Key,
    family: Network,
    is_input: Float[Array, " I"],
    num_weights: Int[Array, ""],
    sampling_weights: Float[Array, " I"] | None = None,
) -> Network:
    """Draw K standard normal weights of a family, including one path; others are 0.

    The K weights are uniform without replacement. With sampling weights, weights of the
    first layer are drawn only if all others are kept, in proportion to the sampling
    weights of their inputs, without replacement (Efraimidis and Spirakis, 2006).

    Args:
      key: consumed.
      family: 1 for each weight that may be present (see `make_family`).
      is_input: 1 for inputs that can start the path, else 0.
      num_weights: K; more if the path is longer.
      sampling_weights: one per input, above 0; by default uniform.
    """
    input_key, keep_key, value_key = jax.random.split(key, 3)
    is_uniform = sampling_weights is None
    power = jnp.ones_like(is_input) if is_uniform else 1 / sampling_weights
    # The path leads from a random input through the first neuron of each layer.
    draws = jax.random.uniform(input_key, is_input.shape) ** power * is_input
    is_drawn = jnp.arange(len(is_input))[:, None] == jnp.argmax(draws)
    path = family._replace(
        first=family.first * is_drawn,
        bias=jnp.zeros_like(family.bias),
        readout_bias=jnp.zeros_like(family.readout_bias),
        mask=family.mask.at[:, 1:].set(0.0),
    )
    possible, on_path = pack(family), pack(mask_weights(path))
    scores = jax.random.uniform(keep_key, possible.shape)
    if not is_uniform:
        uniform = unpack(scores, family)
        first = uniform.first ** power[:, None]
        later = family._replace(first=jnp.zeros_like(family.first))
        scores = pack(uniform._replace(first=first)) + pack(later)
    scores += 2 * on_path
    scores = jnp.where(possible > 0, scores, -1.0)
    limit = kth_largest(scores, num_weights)
    kept = (scores >= limit) & (possible > 0) | (on_path > 0)
    values = jax.random.normal(value_key, possible.shape) * kept
    return unpack(values, family)


def draw_activations(key: Key, spec: NetworkSpec) -> Float[Array, "L H A"]:
    """Draw one activation for all neurons or, with probability 1/2, one per neuron."""
    mixed_key, own_key, coin_key = jax.random.split(key, 3)
    num_kinds = len(spec.activations)
    shape = (spec.max_depth, spec.max_width)
    separate = jax.random.randint(own_key, shape, 0, num_kinds)
    shared = jax.random.randint(mixed_key, (), 0, num_kinds)
    kinds = jnp.where(jax.random.bernoulli(coin_key), separate, shared)
    return jax.nn.one_hot(kinds, num_kinds)


def scale_by_fan_in(network: Network, factor: Float[Array, ""]) -> Network:
    """Scale a network of unit variance to weights of variance 2 factor^2 / fan-in.

    The fan-in, at least 2, counts the non-zero weights of a neuron or an output; biases
    get the variance factor^2. The rule is the same for all activations.
    """

    def scale(weights: Float[Array, "*L K J"]) -> Float[Array, "*L K J"]:
        fan_in = (weights != 0).sum(axis=-2, keepdims=True)
        return factor * weights * jnp.sqrt(2 / jnp.maximum(fan_in, 2))

    return network._replace(
        first=scale(network.first),
        hidden=scale(network.hidden),
        readout=scale(network.readout),
        bias=factor * network.bias,
    )
