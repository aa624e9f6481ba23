"""Random networks with biases and mixed activations, of any inputs and outputs."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from swajax.batched import apply_batch
from swajax.gates import find_largest
from swajax.network import count_weights, mask_weights, pack, unpack
from swajax.types import Key, Network, NetworkSpec

MIN_FAN_IN = 3  # inputs that a neuron of a start has at least, if there are as many
MIN_STD = 0.02  # outputs this flat keep some of their flatness


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


def make_family(
    mask: Float[Array, "L H"],
    activation: Float[Array, "L H A"],
    depth: Int[Array, ""],
    is_input: Float[Array, " I"],
    is_output: Float[Array, " O"],
) -> Network:
    """The network with weight 1 wherever these neurons, inputs and outputs allow."""
    num_layers, width = mask.shape
    ones = Network(
        first=jnp.tile(is_input[:, None], (1, width)),
        hidden=jnp.ones((num_layers - 1, width, width)),
        readout=jnp.tile(is_output[None], (width, 1)),
        bias=jnp.ones((num_layers, width)),
        readout_bias=is_output,
        mask=mask,
        activation=activation,
        depth=depth,
    )
    return mask_weights(ones)


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
    limit = find_largest(scores, num_weights)
    kept = (scores >= limit) & (possible > 0) | (on_path > 0)
    values = jax.random.normal(value_key, possible.shape) * kept
    return unpack(values, family)


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
