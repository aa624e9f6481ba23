"""Random networks of any number of inputs and outputs, to pretrain `tabular` on."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from swajax.network import count_weights, make_family
from swajax.network.batched import apply_batch
from swajax.prior.draws import draw_activations, draw_weights, scale_by_fan_in
from swajax.types import Key, Network, NetworkSpec

MIN_STD = 0.02  # smaller standard deviations of outputs are not scaled to 1


def standardise(
    networks: Network, x: Float[Array, "N I"], *, activations: tuple[str, ...]
) -> Network:
    """Scale the outputs of a batch of networks to mean 0 and variance 1.

    Standard deviations below `MIN_STD` are divided by `MIN_STD` instead.

    Args:
      networks: a batch; only the readouts and their biases change.
      x: points over which mean and variance are computed.
      activations: names of the A activations that `networks.activation` mixes.
    """
    y = apply_batch(networks, x, activations=activations)
    mean, scale = y.mean(axis=1), 1 / jnp.maximum(y.std(axis=1), MIN_STD)
    return networks._replace(
        readout=networks.readout * scale[:, None, :],
        readout_bias=(networks.readout_bias - mean) * scale,
    )


def sample_varied(
    key: Key, *, spec: NetworkSpec, num_inputs: Int[Array, ""] | None = None
) -> tuple[Network, Float[Array, " I"], Float[Array, " O"]]:
    """Draw a random network with random numbers of inputs and outputs.

    The numbers of inputs and outputs are uniform over 1..I and 1..O; the first ones are
    used. A probability, uniform over 0..0.5, decides which inputs have no weights; one
    input always has some. Depth is uniform over 1..L, each width over 1..H, density
    over 0.2..1. Weights are normal, scaled by the fan-in and by one factor per network,
    log-uniform over exp(-0.5)..exp(1.5), so that smooth and steep functions occur.

    Args:
      key: consumed.
      spec: limits of the family.
      num_inputs: number of inputs, by default random.

    Returns:
      The network, and flags (1 or 0) of its inputs and of its outputs.

    Example:
      >>> spec = NetworkSpec(num_inputs=4, num_outputs=2, max_width=3, max_depth=1)
      >>> network, is_input, is_output = sample_varied(jax.random.key(0), spec=spec)
      >>> network.first.shape, is_input.shape, is_output.shape
      ((4, 3), (4,), (2,))
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
    activation = draw_activations(keys[5], spec)
    family = make_family(mask, activation, depth, is_relevant, is_output)
    total = count_weights(family)
    density = jax.random.uniform(keys[6], minval=0.2, maxval=1.0)
    num_weights = jnp.ceil(density * total).astype(jnp.int32)
    network = draw_weights(keys[7], family, is_relevant, num_weights)
    factor = jnp.exp(jax.random.uniform(keys[8], minval=-0.5, maxval=1.5))
    return scale_by_fan_in(network, factor), is_input, is_output
