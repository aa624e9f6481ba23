"""Random tables: rows of a random function, with noise, and what is true without it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.data.problem import Problem
from swajax.objectives import Objective
from swajax.prior.functions import MIN_STD, sample_function
from swajax.types import Key

MIN_ROWS = 64
NOISE_FREE_SHARE = 0.4  # of the regressions
NOISE_RANGE = (1e-2, 2.0)  # standard deviation of noise, relative to the function
SHARPNESS_RANGE = (1.5, 40.0)  # factor of a function to logits


class TableShape(NamedTuple):
    """Static properties of tables: largest numbers of rows and inputs, and targets."""

    num_rows: int
    num_inputs: int
    num_outputs: int = 1
    objective: Objective = "squared"


class RandomTable(NamedTuple):
    """A table as a search reads it, and rows of what is true."""

    problem: Problem  # row weights sum to 1; 0 for padding
    truth: Problem  # fresh rows, targets without noise: probabilities of classes
    is_input: Float[Array, "*B I"]  # 1 for the inputs that exist


def sample_table(key: Key, *, shape: TableShape, num_truth: int) -> RandomTable:
    """Draw a table of 64 to N rows and 1 to I inputs, some of which do nothing.

    Inputs are in [-1, 1] and uniform, bell-shaped, skewed or of few values; some depend
    on others. Numbers are standardised.

    Args:
      key: consumed.
      shape: largest numbers of rows and inputs, number of outputs, objective.
      num_truth: number of rows without noise.

    Example:
      >>> table = sample_table(
      ...     jax.random.key(0), shape=TableShape(100, 4), num_truth=10
      ... )
      >>> table.problem.x.shape, table.truth.y.shape
      ((100, 4), (10, 1))
    """
    keys = jax.random.split(key, 6)
    num_rows, num_inputs, num_outputs, objective = shape
    is_input, relevance = _draw_relevance(keys[0], num_inputs)
    x = _draw_inputs(keys[1], num_rows + num_truth, num_inputs) * is_input[None]
    each = jax.vmap(sample_function, in_axes=(0, None, None), out_axes=1)
    values = each(jax.random.split(keys[2], num_outputs), x, relevance)
    is_row = _draw_rows(keys[3], num_rows)
    if objective == "squared":
        noisy, clean = _add_noise(keys[4], values, is_row)
    else:
        noisy, clean = _draw_classes(keys[4], values, objective)
    return RandomTable(
        Problem(x[:num_rows], noisy[:num_rows], is_row / is_row.sum()),
        Problem(x[num_rows:], clean[num_rows:], jnp.full(num_truth, 1 / num_truth)),
        is_input,
    )


def _draw_relevance(
    key: Key, num_inputs: int
) -> tuple[Float[Array, " I"], Float[Array, " I"]]:
    """Draw which inputs exist, the first ones, and which of them matter."""
    num_key, share_key, own_key = jax.random.split(key, 3)
    least = num_inputs // 2 if num_inputs > 4 else 0
    num = jax.random.randint(num_key, (), least + 1, num_inputs + 1)
    is_input = jnp.arange(num_inputs) < num
    draws = jax.random.uniform(own_key, (num_inputs,))
    share = jax.random.uniform(share_key, minval=0.1, maxval=1.3)
    is_relevant = is_input & (draws < share)
    most = jnp.argmin(jnp.where(is_input, draws, jnp.inf))
    is_relevant = is_relevant.at[most].set(True)
    return is_input.astype(jnp.float32), is_relevant.astype(jnp.float32)


def _draw_rows(key: Key, num_rows: int) -> Float[Array, " N"]:
    """Draw the number of rows, log-uniform."""
    ends = {"minval": jnp.log(min(MIN_ROWS, num_rows)), "maxval": jnp.log(num_rows)}
    num = jnp.ceil(jnp.exp(jax.random.uniform(key, **ends)))
    return (jnp.arange(num_rows) < num).astype(jnp.float32)


def _draw_inputs(key: Key, num_rows: int, num_inputs: int) -> Float[Array, "N I"]:
    """Draw rows of inputs of many distributions, in [-1, 1]."""
    keys = jax.random.split(key, 6)
    normal = jax.random.normal(keys[0], (num_rows, num_inputs))
    mixing = jax.random.normal(keys[1], (num_inputs, num_inputs))
    strength = jnp.exp(jax.random.uniform(keys[2], minval=-1.0, maxval=1.0))
    is_mixed = jax.random.bernoulli(keys[3], 0.3) * strength / num_inputs**0.5
    mixed = normal + is_mixed * normal @ mixing
    mixed = mixed / mixed.std(axis=0, keepdims=True)
    uniform = jax.scipy.stats.norm.cdf(mixed)
    power = jnp.exp(jax.random.uniform(keys[4], (1, num_inputs), minval=0.3))
    levels = jnp.round(4 * uniform**power) / 4
    skewed = uniform ** (2 * power)
    kinds = jnp.stack(
        [2 * uniform - 1, jnp.tanh(mixed / 2), 2 * skewed - 1, 2 * levels - 1]
    )
    odds = jnp.log(jnp.array([0.6, 0.15, 0.15, 0.1]))
    kind = jax.random.categorical(keys[5], odds, shape=(num_inputs,))
    # Many functions and designed tables have uniform inputs only.
    is_plain = jax.random.bernoulli(jax.random.fold_in(key, 0))
    kind = jnp.where(is_plain, 0, kind)
    return jnp.take_along_axis(kinds, kind[None, None], axis=0)[0]


def _add_noise(
    key: Key, values: Float[Array, "M O"], is_row: Float[Array, " N"]
) -> tuple[Float[Array, "M O"], Float[Array, "M O"]]:
    """Return noisy targets of mean 0 and variance 1, and clean ones scaled alike."""
    noise_key, size_key, free_key = jax.random.split(key, 3)
    least, most = (jnp.log(end) for end in NOISE_RANGE)
    size = jnp.exp(jax.random.uniform(size_key, minval=least, maxval=most))
    size = size * ~jax.random.bernoulli(free_key, NOISE_FREE_SHARE)
    noisy = values + size * jax.random.normal(noise_key, values.shape)
    share = (is_row / is_row.sum())[:, None]
    mean = (noisy[: len(is_row)] * share).sum(0, keepdims=True)
    square = (jnp.square(noisy[: len(is_row)] - mean) * share).sum(0, keepdims=True)
    scale = 1 / jnp.maximum(jnp.sqrt(square), MIN_STD)
    return (noisy - mean) * scale, (values - mean) * scale


def _draw_classes(
    key: Key, values: Float[Array, "M O"], objective: Objective
) -> tuple[Float[Array, "M O"], Float[Array, "M O"]]:
    """Return drawn classes, and their probabilities."""
    sharp_key, offset_key, own_key = jax.random.split(key, 3)
    least, most = (jnp.log(end) for end in SHARPNESS_RANGE)
    sharp = jnp.exp(jax.random.uniform(sharp_key, minval=least, maxval=most))
    offset = 0.6 * jax.random.normal(offset_key, (1, values.shape[1]))
    logits = sharp * (values + offset)
    if objective == "logistic":
        clean = jax.nn.sigmoid(logits)
        return jax.random.bernoulli(own_key, clean).astype(clean.dtype), clean
    drawn = jax.random.categorical(own_key, logits)
    return jax.nn.one_hot(drawn, values.shape[1]), jax.nn.softmax(logits)
