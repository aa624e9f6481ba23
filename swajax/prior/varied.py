"""Random networks with biases and mixed activations, of any inputs and outputs."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from swajax.network import count_weights, make_family, mask_weights, pack, unpack
from swajax.network.batched import apply_batch
from swajax.network.gates import kth_largest
from swajax.types import Key, Network, NetworkSpec

MIN_STD = 0.02  # outputs this flat keep some of their flatness


def standardise(
    networks: Network, x: Float[Array, "N I"], *, activations: tuple[str, ...]
) -> Network:
    """A batch of networks, outputs scaled to mean 0 and variance 1 at these points."""
    y = apply_batch(networks, x, activations=activations)
    mean, scale = y.mean(axis=1), 1 / jnp.maximum(y.std(axis=1), MIN_STD)
    return networks._replace(
        readout=networks.readout * scale[:, None, :],
        readout_bias=(networks.readout_bias - mean) * scale,
    )


def sample_varied(
    key: Key, *, spec: NetworkSpec, num_inputs: Int[Array, ""] | None = None
) -> tuple[Network, Float[Array, " I"], Float[Array, " O"]]:
    """A random network, and which inputs and outputs it has: 1, else 0.

    Their numbers are uniform over 1..I and 1..O, the first ones; each input but a
    random one is without weights at a chance that is uniform over 0..0.5. Depth is
    uniform over 1..L, each width over 1..H, density over 0.2..1. Weights are normal,
    scaled by the fan in; a network's own factor makes smooth and wiggly ones.

    Args:
      key: consumed.
      spec: limits of the family.
      num_inputs: fixes their number.
    """
    keys = jax.random.split(key, 9)
    if num_inputs is None:
        num_inputs = jax.random.randint(keys[0], (), 1, spec.num_inputs + 1)
    num_outputs = jax.random.randint(keys[1], (), 1, spec.num_outputs + 1)
    is_input = (jnp.arange(spec.num_inputs) < num_inputs).astype(jnp.float32)
    is_output = (jnp.arange(spec.num_outputs) < num_outputs).astype(jnp.float32)
    depth = jax.random.randint(keys[2], (), 1, spec.max_depth + 1)
    widths = jax.random.randint(keys[3], (spec.max_depth, 1), 1, spec.max_width + 1)
    widths = widths * (jnp.arange(spec.max_depth) < depth)[:, None]
    mask = (jnp.arange(spec.max_width)[None] < widths).astype(jnp.float32)
    draws = jax.random.uniform(keys[4], (spec.num_inputs + 1,))
    kept = draws[1:] >= 0.5 * draws[0]
    kept |= jnp.arange(spec.num_inputs) == jnp.argmax(draws[1:] * is_input)
    is_relevant = is_input * kept
    activation = _draw_activations(keys[5], spec)
    family = make_family(mask, activation, depth, is_relevant, is_output)
    total = count_weights(family)
    density = jax.random.uniform(keys[6], minval=0.2, maxval=1.0)
    num_weights = jnp.ceil(density * total).astype(jnp.int32)
    network = _draw_weights(keys[7], family, is_relevant, num_weights)
    factor = jnp.exp(jax.random.uniform(keys[8], minval=-0.5, maxval=1.5))
    return _scale_by_fan_in(network, factor), is_input, is_output


def _draw_weights(
    key: Key,
    family: Network,
    is_input: Float[Array, " I"],
    num_weights: Int[Array, ""],
    odds: Float[Array, " I"] | None = None,
) -> Network:
    """The family with so many normal weights, the others 0; one path is always kept.

    Which are kept is random, or, given odds of the inputs, those of the first
    layer come after all others, drawn by these odds (Efraimidis and Spirakis, 2006).
    """
    input_key, keep_key, value_key = jax.random.split(key, 3)
    power = jnp.ones_like(is_input) if odds is None else 1 / odds
    # The first neuron of each layer is on the path, from a random input.
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
    if odds is not None:
        by_odds = unpack(scores, family)
        first = by_odds.first ** power[:, None]
        later = family._replace(first=jnp.zeros_like(family.first))
        scores = pack(by_odds._replace(first=first)) + pack(later)
    scores += 2 * on_path
    scores = jnp.where(possible > 0, scores, -1.0)
    limit = kth_largest(scores, num_weights)
    kept = (scores >= limit) & (possible > 0) | (on_path > 0)
    values = jax.random.normal(value_key, possible.shape) * kept
    return unpack(values, family)


def _draw_activations(key: Key, spec: NetworkSpec) -> Float[Array, "L H A"]:
    mixed_key, own_key, coin_key = jax.random.split(key, 3)
    num_kinds = len(spec.activations)
    shape = (spec.max_depth, spec.max_width)
    own = jax.random.randint(own_key, shape, 0, num_kinds)
    shared = jax.random.randint(mixed_key, (), 0, num_kinds)
    kinds = jnp.where(jax.random.bernoulli(coin_key), own, shared)
    return jax.nn.one_hot(kinds, num_kinds)


def _scale_by_fan_in(network: Network, factor: Float[Array, ""]) -> Network:
    def scale(weights: Float[Array, "*L K J"]) -> Float[Array, "*L K J"]:
        fan_in = (weights != 0).sum(axis=-2, keepdims=True)
        return factor * weights * jnp.sqrt(2 / jnp.maximum(fan_in, 2))

    return network._replace(
        first=scale(network.first),
        hidden=scale(network.hidden),
        readout=scale(network.readout),
        bias=factor * network.bias,
    )
