"""Random functions of many families, the targets of random tables.

A family is a function (key, x, relevance) of a table x [N, I] in about [-1, 1] that
returns N values. `relevance` is 1 for the inputs that matter and 0 for the others.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.network import apply
from swajax.prior.small import sample_small
from swajax.types import DEFAULT_ACTIVATIONS, Key, NetworkSpec

SUM_SHARE = 0.3  # of the functions that are a sum of two families
NUM_TERMS = 6  # of sums of products, steps and pieces
NUM_WAVES = 48  # random Fourier features of a Gaussian process
MIN_STD = 1e-3  # smaller standard deviations are not scaled to 1

Family = Callable[[Key, Float[Array, "N I"], Float[Array, " I"]], Float[Array, " N"]]


def sample_function(
    key: Key, x: Float[Array, "N I"], relevance: Float[Array, " I"]
) -> Float[Array, " N"]:
    """Draw a function and evaluate it; values have mean 0 and variance 1.

    Args:
      key: consumed.
      x: rows.
      relevance: 1 for the inputs that may matter, 0 for the others.

    Example:
      >>> x = jax.random.uniform(jax.random.key(0), (50, 3), minval=-1)
      >>> y = sample_function(jax.random.key(1), x, jnp.array([1.0, 0.0, 1.0]))
      >>> y.shape, abs(float(y.mean())) < 1e-3
      ((50,), True)
    """
    family_key, pair_key, share_key, *keys = jax.random.split(key, 3 + len(FAMILIES))
    values = [
        standardise_values(family(own_key, x, relevance))
        for family, own_key in zip(FAMILIES, keys, strict=True)
    ]
    pair = jax.random.randint(pair_key, (2,), 0, len(FAMILIES))
    first, second = jnp.stack(values)[pair]
    is_sum = jax.random.bernoulli(family_key, SUM_SHARE)
    share = jax.random.uniform(share_key, minval=0.2, maxval=1.0) * is_sum
    return standardise_values(first + share * second)


def standardise_values(values: Float[Array, " N"]) -> Float[Array, " N"]:
    """Scale values to mean 0 and variance 1; those that are not finite become 0."""
    values = jnp.where(jnp.isfinite(values), values, 0.0)
    values = values - values.mean()
    return values / jnp.maximum(values.std(), MIN_STD)


def network(
    key: Key, x: Float[Array, "N I"], relevance: Float[Array, " I"]
) -> Float[Array, " N"]:
    """Evaluate a random network of 4 to 200 weights."""
    size_key, network_key, steep_key = jax.random.split(key, 3)
    spec = NetworkSpec(
        x.shape[1], max_width=12, max_depth=2, activations=DEFAULT_ACTIVATIONS
    )
    ends = {"minval": jnp.log(4.0), "maxval": jnp.log(200.0)}
    size = jnp.exp(jax.random.uniform(size_key, **ends)).astype(jnp.int32)
    drawn = sample_small(
        network_key, size, spec=spec, sampling_weights=relevance + 1e-3
    )
    steep = jnp.exp(jax.random.uniform(steep_key, minval=0.0, maxval=1.2))
    drawn = drawn._replace(first=drawn.first * relevance[:, None] * steep)
    return apply(drawn, x, activations=spec.activations)[:, 0]


def gaussian_process(
    key: Key, x: Float[Array, "N I"], relevance: Float[Array, " I"]
) -> Float[Array, " N"]:
    """Draw a smooth function with one length scale per input."""
    keys = jax.random.split(key, 4)
    ends = {"minval": jnp.log(0.3), "maxval": jnp.log(3.0)}
    scale = jnp.exp(jax.random.uniform(keys[0], relevance.shape, **ends))
    scale = relevance * jnp.maximum(relevance.sum(), 1.0) ** -0.5 * 2 / scale
    shape = (x.shape[1], NUM_WAVES)
    waves = jax.random.normal(keys[1], shape) * scale[:, None]
    phases = jax.random.uniform(keys[2], (1, NUM_WAVES), maxval=2 * jnp.pi)
    return jnp.cos(x @ waves + phases) @ jax.random.normal(keys[3], (NUM_WAVES,))


def polynomial(
    key: Key, x: Float[Array, "N I"], relevance: Float[Array, " I"]
) -> Float[Array, " N"]:
    """Sum products of up to 3 relevant inputs, squares among them, and a line."""
    term_key, size_key, line_key, order_key = jax.random.split(key, 4)
    factors = x[:, draw_inputs(term_key, relevance, (NUM_TERMS, 3))]
    order = jax.random.randint(order_key, (1, NUM_TERMS, 1), 1, 4)
    product = jnp.where(jnp.arange(3)[None, None] < order, factors, 1.0).prod(-1)
    line = x @ (relevance * jax.random.normal(line_key, relevance.shape))
    return line + product @ jax.random.normal(size_key, (NUM_TERMS,)) * 2


def radial(
    key: Key, x: Float[Array, "N I"], relevance: Float[Array, " I"]
) -> Float[Array, " N"]:
    """Evaluate a bump, a cone or a ring around a random centre."""
    keys = jax.random.split(key, 4)
    centre = jax.random.uniform(keys[0], relevance.shape, minval=-0.7, maxval=0.7)
    stretch = relevance * jnp.exp(0.5 * jax.random.normal(keys[1], relevance.shape))
    square = jnp.square((x - centre[None]) * stretch[None]).sum(1)
    square = square / jnp.maximum(relevance.sum(), 1.0)
    radius = jnp.sqrt(square + 1e-3)
    rate = jnp.exp(jax.random.uniform(keys[2], minval=-0.5, maxval=1.8))
    kinds = jnp.exp(-rate * square), radius, jnp.cos(2 * rate * radius)
    return jnp.stack(kinds)[jax.random.randint(keys[3], (), 0, len(kinds))]


def additive(
    key: Key, x: Float[Array, "N I"], relevance: Float[Array, " I"]
) -> Float[Array, " N"]:
    """Sum waves of single inputs; in half of the functions, multiply two of the sums.

    The waves are periodic within the table or nearly straight.
    """
    keys = jax.random.split(key, 5)
    shape = (1, x.shape[1], 2)
    rate = jnp.exp(jax.random.uniform(keys[0], shape, minval=-0.7, maxval=2.0))
    phase = jax.random.uniform(keys[1], shape, maxval=2 * jnp.pi)
    sizes = jax.random.normal(keys[2], shape)
    waves = (jnp.sin(x[..., None] * rate + phase) * sizes).sum(-1) * relevance[None]
    both = waves[:, draw_inputs(keys[3], relevance, (2,))].prod(-1)
    return waves.sum(1) + jax.random.bernoulli(keys[4]) * 2 * both


def steps(
    key: Key, x: Float[Array, "N I"], relevance: Float[Array, " I"]
) -> Float[Array, " N"]:
    """Sum indicators of boxes of one or two inputs, sharp or a little blurred."""
    keys = jax.random.split(key, 5)
    sides = x[:, draw_inputs(keys[0], relevance, (NUM_TERMS, 2))]
    limits = jax.random.uniform(keys[1], (1, NUM_TERMS, 2), minval=-0.8, maxval=0.8)
    sharp = jnp.exp(jax.random.uniform(keys[2], minval=1.5, maxval=5.0))
    inside = jax.nn.sigmoid(sharp * (sides - limits))
    is_pair = jax.random.bernoulli(keys[3], shape=(1, NUM_TERMS))
    boxes = inside[..., 0] * jnp.where(is_pair, inside[..., 1], 1.0)
    return boxes @ jax.random.normal(keys[4], (NUM_TERMS,))


def pieces(
    key: Key, x: Float[Array, "N I"], relevance: Float[Array, " I"]
) -> Float[Array, " N"]:
    """Sum one to six kinked planes."""
    plane_key, offset_key, size_key, num_key = jax.random.split(key, 4)
    planes = jax.random.normal(plane_key, (x.shape[1], NUM_TERMS)) * relevance[:, None]
    offsets = jax.random.uniform(offset_key, (1, NUM_TERMS), minval=-1.0)
    num = jax.random.randint(num_key, (), 1, NUM_TERMS + 1)
    sizes = jax.random.normal(size_key, (NUM_TERMS,)) * (jnp.arange(NUM_TERMS) < num)
    return jnp.maximum(x @ planes + offsets, 0.0) @ sizes


def ratio(
    key: Key, x: Float[Array, "N I"], relevance: Float[Array, " I"]
) -> Float[Array, " N"]:
    """Divide one plane by another one that stays away from 0."""
    keys = jax.random.split(key, 3)
    top, bottom = jax.random.normal(keys[0], (2, x.shape[1])) * relevance[None]
    offset = jax.random.normal(keys[1])
    margin = jax.random.uniform(keys[2], minval=1.1, maxval=2.0)
    bottom = bottom / jnp.maximum(jnp.abs(bottom).sum(), 1e-6)
    return (x @ top + offset) / (margin + x @ bottom)


def draw_inputs(
    key: Key, relevance: Float[Array, " I"], shape: tuple[int, ...]
) -> Array:
    """Draw indices of relevant inputs; any of them if none is relevant."""
    return jax.random.categorical(key, jnp.log(relevance + 1e-6), shape=shape)


FAMILIES: tuple[Family, ...] = (
    network,
    gaussian_process,
    polynomial,
    radial,
    additive,
    steps,
    pieces,
    ratio,
)
