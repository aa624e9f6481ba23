"""Moments of rows: what the encoder of `flow` reads of a table.

Means over the rows of the targets times fixed features of one and of two inputs. Their
number does not depend on the number of rows, and permuting inputs permutes them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SCALE, PAIR_SCALE = 3.0, 20.0  # typical moments become about 1
NUM_PAIRED = 5  # features of an input that are paired with those of others
# Sign of each feature under x -> -x.
PARITY = np.array([-1, 1, -1, -1, 1, -1, 1, 1], np.float32)


class Moments(NamedTuple):
    """Moments of I inputs and O targets, and what is known beside them."""

    single: Float[Array, "*B I O F"]  # targets times features of one input
    pair: Float[Array, "*B I I O G"]  # targets times features of two inputs
    inputs: Float[Array, "*B I F"]  # mean features
    both: Float[Array, "*B I I"]  # means of products of two inputs
    facts: Float[Array, "*B 4"]  # rows, classes
    is_input: Float[Array, "*B I"]
    is_output: Float[Array, "*B O"]


def compute_features(x: Float[Array, "N I"]) -> Float[Array, "N I F"]:
    """Return fixed features of each input in [-1, 1]; the first ones are paired."""
    x = jnp.clip(x, -1.2, 1.2)
    features = [
        1.7 * x,
        1.5 * (3 * x * x - 1) / 2,
        (5 * x**3 - 3 * x) * 1.2,
        jnp.sin(3 * x),
        jnp.cos(3 * x),
        jnp.sin(6 * x),
        jnp.cos(6 * x),
        3 * jnp.abs(x) - 1.5,
    ]
    return jnp.stack(features, axis=-1)


def compute_moments(
    x: Float[Array, "N I"],
    y: Float[Array, "N O"],
    *,
    weight: Float[Array, " N"] | None = None,
    is_input: Float[Array, " I"] | None = None,
    is_output: Float[Array, " O"] | None = None,
) -> Moments:
    """Compute the moments of a table.

    Args:
      x: inputs in about [-1, 1].
      y: numbers, 0 or 1, or one-hot classes; the scale of numbers does not matter.
      weight: relative weights of the rows; by default equal.
      is_input: 1 for the inputs that exist, by default all; 0 for padding.
      is_output: as `is_input`, of the outputs.

    Example:
      >>> x = jnp.linspace(-1, 1, 9)[:, None]
      >>> moments = compute_moments(x, 2 * x + 1)
      >>> moments.single.shape, moments.pair.shape
      ((1, 1, 8), (1, 1, 1, 25))
    """
    weight = jnp.ones(len(x)) if weight is None else weight
    is_input = jnp.ones(x.shape[1]) if is_input is None else is_input
    is_output = jnp.ones(y.shape[1]) if is_output is None else is_output
    share = weight / weight.sum()
    is_class = jnp.where(share[:, None] > 0, (y == 0) | (y == 1), True).all()
    centred = y - (share @ y)[None]
    scale = jnp.sqrt(share @ jnp.square(centred)) + 1e-6
    y = centred / scale[None] * is_output[None]
    features = compute_features(x) * is_input[None, :, None]
    means = jnp.einsum("n,nif->if", share, features)
    features = features - means[None]
    weighted = share[:, None] * y
    paired = features[..., :NUM_PAIRED]
    flat = paired.reshape(len(x), -1)
    product = jax.vmap(lambda own: (flat * own[:, None]).T @ flat, in_axes=1)
    num_inputs = x.shape[1]
    shape = (y.shape[1], num_inputs, NUM_PAIRED, num_inputs, NUM_PAIRED)
    pair = product(weighted).reshape(shape).transpose(1, 3, 0, 2, 4)
    pair = pair.reshape(num_inputs, num_inputs, y.shape[1], NUM_PAIRED**2)
    first = features[..., 0]
    num_rows = 1 / jnp.square(share).sum()
    facts = jnp.stack(
        [jnp.log(num_rows / 256), is_class * 1.0, is_output.sum() - 1, is_input.sum()]
    )
    return Moments(
        SCALE * jnp.einsum("no,nif->iof", weighted, features),
        PAIR_SCALE * pair * (1 - jnp.eye(num_inputs))[:, :, None, None],
        SCALE * means,
        SCALE * (share[:, None] * first).T @ first,
        facts * jnp.array([1.0, 1.0, 0.5, 0.1]),
        is_input,
        is_output,
    )


def flip(
    moments: Moments, signs: Float[Array, " I"], output_signs: Float[Array, " O"]
) -> Moments:
    """Return the moments of the table with inputs and targets times -1 or 1."""
    parity = jnp.where(signs[:, None] < 0, jnp.asarray(PARITY)[None], 1.0)
    own = parity[:, :NUM_PAIRED]
    both = own[:, None, :, None] * own[None, :, None, :]
    both = both.reshape(*both.shape[:2], 1, -1) * output_signs[None, None, :, None]
    return moments._replace(
        single=moments.single * parity[:, None] * output_signs[None, :, None],
        pair=moments.pair * both,
        inputs=moments.inputs * parity,
        both=moments.both * signs[:, None] * signs[None],
    )
