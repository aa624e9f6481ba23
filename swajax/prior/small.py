"""TODO swajax/prior/small.py."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from swajax.network import make_family
from swajax.prior.varied import _draw_activations, _draw_weights, _scale_by_fan_in
from swajax.types import Key, Network, NetworkSpec

MIN_FAN_IN = 3  # inputs that a neuron of a start has at least, if there are as many


def sample_small(
    key: Key,
    num_weights: Int[Array, ""],
    *,
    spec: NetworkSpec,
    num_inputs: Int[Array, ""] | None = None,
    odds: Float[Array, " I"] | None = None,
) -> Network:
    """A random network with biases and at most so many weights, to start a search.

    Depth is uniform over 1..L, layers have random widths in proportion, as wide as
    `num_weights` weights and biases allow if layers are dense, but the first: of many
    inputs each of its neurons has a share, uniform in the logarithm from 3 to all. What
    is too much is left out at random, first of the first layer, though never one path.
    Half of the networks have one activation throughout, half one a neuron. Weights are
    normal, scaled by the fan in; a network's own factor makes smooth and wiggly ones.

    Args:
      key: consumed.
      num_weights: weights and biases at most, if a path fits in.
      spec: limits of the family.
      num_inputs: inputs in use, the first ones; by default all.
      odds: of each input to be drawn, above 0; by default all are equal.
    """
    keys = jax.random.split(key, 4)
    if num_inputs is None:
        num_inputs = jnp.asarray(spec.num_inputs)
    mask, depth = _draw_layers(keys[0], num_weights, num_inputs, spec)
    is_input = (jnp.arange(spec.num_inputs) < num_inputs).astype(jnp.float32)
    is_output = jnp.ones(spec.num_outputs)
    activation = _draw_activations(keys[1], spec)
    family = make_family(mask, activation, depth, is_input, is_output)
    if odds is None:
        odds = jnp.ones(spec.num_inputs)
    network = _draw_weights(keys[2], family, is_input, num_weights, odds)
    factor = jnp.exp(jax.random.uniform(keys[3], minval=-0.5, maxval=1.0))
    return _scale_by_fan_in(network, factor)


@functools.partial(jax.jit, static_argnames=("num", "spec"))
def sample_starts(
    key: Key,
    *,
    num: int,
    spec: NetworkSpec,
    max_weights: Num[Array, ""] | float,
    num_inputs: Int[Array, ""] | int | None = None,
    odds: Float[Array, " I"] | None = None,
) -> Network:
    """A batch of small networks, of 4 to so many weights, uniform in the logarithm.

    See `sample_small`.
    """
    size_key, network_key = jax.random.split(key)
    ends = {"minval": jnp.log(4.0), "maxval": jnp.log(max_weights)}
    sizes = jnp.exp(jax.random.uniform(size_key, (num,), **ends)).astype(jnp.int32)
    num_inputs = jnp.asarray(spec.num_inputs if num_inputs is None else num_inputs)
    sample = functools.partial(
        sample_small, spec=spec, num_inputs=num_inputs, odds=odds
    )
    return jax.vmap(sample)(jax.random.split(network_key, num), sizes)


def _draw_layers(
    key: Key,
    num_weights: Int[Array, ""],
    num_inputs: Int[Array, ""],
    spec: NetworkSpec,
) -> tuple[Float[Array, "L H"], Int[Array, ""]]:
    """Masks of the widest layers that the limit allows, and the depth."""
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
