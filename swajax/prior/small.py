"""Small random networks, the starts of a search."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from swajax.network import make_family
from swajax.prior.draws import draw_activations, draw_weights, scale_by_fan_in
from swajax.types import Key, Network, NetworkSpec

MIN_FAN_IN = 3  # minimum fan-in of a neuron, unless the network has fewer inputs


def sample_small(
    key: Key,
    num_weights: Int[Array, ""],
    *,
    spec: NetworkSpec,
    num_inputs: Int[Array, ""] | None = None,
    sampling_weights: Float[Array, " I"] | None = None,
) -> Network:
    """Draw a random network with biases and at most K weights, to start a search.

    Depth is uniform over 1..L. Widths have random ratios and are the largest for which
    K weights and biases suffice, where all layers are dense except the first, whose
    neurons have a fan-in that is log-uniform between 3 and the number of inputs.
    Surplus weights are removed at random, from the first layer first, but one path from
    an input to the outputs is kept. Half of the networks have the same activation in
    all neurons, half draw one per neuron. Weights are normal, scaled by the fan-in and
    by one factor per network, log-uniform over exp(-0.5)..exp(1), so that smooth and
    steep functions occur.

    Args:
      key: consumed.
      num_weights: K, maximum number of weights and biases; a path may need more.
      spec: limits of the family.
      num_inputs: number of inputs in use, the first ones; by default all.
      sampling_weights: relative probability of each input, above 0; by default uniform.

    Example:
      >>> from swajax.network import count_weights
      >>> spec = NetworkSpec(max_width=3, max_depth=1)
      >>> network = sample_small(jax.random.key(0), jnp.array(6), spec=spec)
      >>> int(count_weights(network)) <= 6
      True
    """
    keys = jax.random.split(key, 4)
    if num_inputs is None:
        num_inputs = jnp.asarray(spec.num_inputs)
    mask, depth = _draw_layers(keys[0], num_weights, num_inputs, spec)
    is_input = (jnp.arange(spec.num_inputs) < num_inputs).astype(jnp.float32)
    is_output = jnp.ones(spec.num_outputs)
    activation = draw_activations(keys[1], spec)
    family = make_family(mask, activation, depth, is_input, is_output)
    if sampling_weights is None:
        sampling_weights = jnp.ones(spec.num_inputs)
    network = draw_weights(keys[2], family, is_input, num_weights, sampling_weights)
    factor = jnp.exp(jax.random.uniform(keys[3], minval=-0.5, maxval=1.0))
    return scale_by_fan_in(network, factor)


@functools.partial(jax.jit, static_argnames=("num", "spec"))
def sample_starts(
    key: Key,
    *,
    num: int,
    spec: NetworkSpec,
    max_weights: Num[Array, ""] | float,
    num_inputs: Int[Array, ""] | int | None = None,
    sampling_weights: Float[Array, " I"] | None = None,
) -> Network:
    """Draw a batch of small networks with log-uniform limits of their size.

    Args:
      key: consumed.
      num: number of networks.
      spec: limits of the family.
      max_weights: largest limit; the smallest is 4 weights and biases.
      num_inputs: see `sample_small`.
      sampling_weights: see `sample_small`.
    """
    size_key, network_key = jax.random.split(key)
    ends = {"minval": jnp.log(4.0), "maxval": jnp.log(max_weights)}
    sizes = jnp.exp(jax.random.uniform(size_key, (num,), **ends)).astype(jnp.int32)
    num_inputs = jnp.asarray(spec.num_inputs if num_inputs is None else num_inputs)
    sample = functools.partial(
        sample_small,
        spec=spec,
        num_inputs=num_inputs,
        sampling_weights=sampling_weights,
    )
    return jax.vmap(sample)(jax.random.split(network_key, num), sizes)


def _draw_layers(
    key: Key,
    num_weights: Int[Array, ""],
    num_inputs: Int[Array, ""],
    spec: NetworkSpec,
) -> tuple[Float[Array, "L H"], Int[Array, ""]]:
    """Draw the depth, and masks of the widest layers that the limit allows."""
    depth_key, share_key, fan_key = jax.random.split(key, 3)
    depth = jax.random.randint(depth_key, (), 1, spec.max_depth + 1)
    shares = jax.random.uniform(share_key, (spec.max_depth,), minval=0.4)
    shares = shares / shares.max()
    scale = jnp.arange(1, spec.max_width + 1)[:, None]
    widths = jnp.clip(jnp.round(scale * shares[None]), 1, spec.max_width)
    widths = widths * (jnp.arange(spec.max_depth) < depth)[None]
    last = jnp.take(widths, depth - 1, axis=1)
    between = (widths[:, :-1] * widths[:, 1:]).sum(axis=1)
    biases = widths.sum(axis=1) + spec.num_outputs
    ends = jnp.minimum(num_inputs, MIN_FAN_IN), num_inputs
    least, most = (jnp.log(end.astype(jnp.float32)) for end in ends)
    fan_in = jnp.exp(jax.random.uniform(fan_key, minval=least, maxval=most))
    counts = fan_in * widths[:, 0] + between + last * spec.num_outputs + biases
    chosen = widths[jnp.maximum((counts <= num_weights).sum() - 1, 0)]
    mask = jnp.arange(spec.max_width)[None] < chosen[:, None]
    return mask.astype(jnp.float32), depth
