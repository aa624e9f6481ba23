"""Examples, their split for an architecture search, and mean losses."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Integer, Shaped

from swajax.objectives import Objective, losses

BLOCK = 1024  # number of tokens evaluated at once; few enough for the cache

Means = TypeVar("Means")


class Rows(NamedTuple):
    """Examples: inputs, and targets as `swajax.objectives` expects them.

    If an example has several outputs, one per token, targets are class indices.
    """

    x: Shaped[Array | np.ndarray, "N ..."]
    y: Float[Array | np.ndarray, "N O"] | Integer[Array | np.ndarray, "N S"]


class Split(NamedTuple):
    """Parts of a data set."""

    weights: Rows  # rows that train weights
    architecture: Rows  # rows that train or choose architectures
    test: Rows  # rows that are evaluated once


def divide(split: Split, weight_share: float) -> Split:
    """Redistribute the rows for weights and architectures; keep the test rows.

    Args:
      split: parts of a data set.
      weight_share: fraction of the rows for weights, in (0, 1).

    Raises:
      ValueError: a part would be empty.
    """
    x, y = (
        np.concatenate(parts)
        for parts in zip(split.weights, split.architecture, strict=True)
    )
    num = round(weight_share * len(x))
    if not 0 < num < len(x):
        raise ValueError(
            f"weight_share {weight_share} of {len(x)} rows leaves nothing for "
            f"{'architectures' if num else 'weights'}"
        )
    return split._replace(
        weights=Rows(x[:num], y[:num]), architecture=Rows(x[num:], y[num:])
    )


def mean_loss(
    out: Float[Array, "M O"], y: Shaped[Array, "N _"], *, objective: Objective
) -> Float[Array, ""]:
    """Return the mean loss of `swajax.objectives` over rows of outputs.

    Args:
      out: one row per example, or per token (M = N S) if targets are indices.
      y: targets of `Rows`.
      objective: loss; softmax if targets are indices.

    Raises:
      ValueError: targets are class indices and the objective is not softmax.
    """
    if not is_index(y):
        return losses(out.T, y.T, objective=objective).mean()
    if objective != "softmax":
        raise ValueError(f"class indices need softmax, got {objective!r}")
    # One-hot targets would be as large as the outputs.
    return optax.losses.softmax_cross_entropy_with_integer_labels(out, y.ravel()).mean()


def mean_over_blocks(fn: Callable[[Rows], Means], rows: Rows) -> Means:
    """Evaluate `fn` on all rows, block by block if rows have several outputs.

    On a CPU, blocks are several times faster and need a fraction of the memory. Rows
    with one output are not divided, as a network may normalise by batch statistics.

    Args:
      fn: maps rows to means over them, an array or a tree.
      rows: at least one row.

    Returns:
      Means over all rows.
    """
    num = len(rows.x)
    size = min(num, max(1, BLOCK // rows.y.shape[1])) if is_index(rows.y) else num
    num_full = num - num % size

    def stack(leaf: Array) -> Array:
        return jnp.asarray(leaf[:num_full]).reshape(-1, size, *leaf.shape[1:])

    def weigh(part: Rows) -> Means:
        return jax.tree.map(lambda mean: len(part.x) * mean, fn(part))

    if size == num:
        return fn(rows)
    total = jax.lax.map(weigh, jax.tree.map(stack, rows))
    total = jax.tree.map(lambda leaf: leaf.sum(axis=0), total)
    if num_full < num:
        rest = weigh(jax.tree.map(lambda leaf: jnp.asarray(leaf[num_full:]), rows))
        total = jax.tree.map(jnp.add, total, rest)
    return jax.tree.map(lambda leaf: leaf / num, total)


def keep_outputs(rows: Rows, num: int) -> Rows:
    """Keep the first rows with at most `num` outputs, but at least one row."""
    each = rows.y.shape[1] if is_index(rows.y) else 1
    return Rows(*(leaf[: max(1, num // each)] for leaf in rows))


def find_classes(y: Shaped[Array, "N _"]) -> Integer[Array, " M"]:
    """Return the classes of classification targets, one per row of outputs."""
    return y.ravel() if is_index(y) else y.argmax(axis=1)


def is_index(y: Shaped[Array | np.ndarray, "N _"]) -> bool:
    """Return whether targets are class indices."""
    return jnp.issubdtype(y.dtype, jnp.integer)
