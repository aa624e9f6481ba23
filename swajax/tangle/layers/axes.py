"""Axes of a weight and the choices that they follow, which define masks and slices.

A space declares, once per weight, which choice decides how much of each axis a network
keeps. This defines the probability that an entry is kept (`mask`), the slice of one
architecture (`take`) and the shape of the largest weight (`Leaf.shape`):

    width = axes.follow(Choice("width", (2, 4)))
    declared = {"weight": Leaf(axes.fixed(3), width), "bias": Leaf(width)}

A declaration has the structure of the weights, with a `Leaf` in place of each array, or
`Layers` in place of arrays that are stacked along a leading axis of layers.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from swajax.tangle.choices import Architecture, Choice, Probabilities
from swajax.tangle.layers import masks


@dataclasses.dataclass(frozen=True)
class Axis:
    """Axis of a weight, or several adjacent axes that follow one rule."""

    shape: tuple[int, ...]
    """sizes in the largest network"""
    keep: Callable[[Probabilities], Array]
    """probability that each entry is kept, `[*shape]` or, per layer, `[L, *shape]`"""
    slices: Callable[[Architecture, int], tuple[Any, ...] | None]
    """maps architecture and layer to one index per axis; None if the weight is
    absent"""
    is_layered: bool = False
    """whether `keep` has one row per layer"""


def fixed(*shape: int) -> Axis:
    """Return axes that follow no choice: all networks keep all entries."""
    return Axis(
        shape, lambda p: jnp.ones(shape), lambda *_: (slice(None),) * len(shape)
    )


def follow(
    choice: Choice,
    rows: int | slice = 0,
    *,
    table: Bool[np.ndarray, "K ..."] | None = None,
) -> Axis:
    """Return the axes that the options of a choice cut to a contiguous block.

    Args:
      choice: the choice.
      rows: the row of the choice, or a slice of rows with one row per layer.
      table: entries that each option keeps, by default `choice.table`. An option that
        keeps no entry removes the weight.
    """
    kept = choice.table if table is None else table

    def keep(p: Probabilities) -> Array:
        return masks.keep_probability(p[choice.name][rows], kept)

    def slices(architecture: Architecture, layer: int) -> tuple[slice, ...] | None:
        chosen = architecture[choice.name][rows]
        option = chosen if isinstance(rows, int) else chosen[layer]
        if not kept[option].any():
            return None
        where = np.argwhere(kept[option]).T
        return tuple(slice(int(n.min()), int(n.max()) + 1) for n in where)

    return Axis(kept.shape[1:], keep, slices, not isinstance(rows, int))


def select(choice: Choice) -> Axis:
    """Return an axis with one row of the choice per entry and options (0, 1)."""

    def slices(architecture: Architecture, layer: int) -> tuple[np.ndarray]:
        del layer
        return (np.flatnonzero(architecture[choice.name]),)

    return Axis((choice.num_rows,), lambda p: p[choice.name][:, 1], slices)


class Leaf:
    """Axes of one weight, in order."""

    def __init__(self, *axes: Axis) -> None:
        """Join the axes."""
        self.axes = axes
        self.shape = tuple(itertools.chain(*(axis.shape for axis in axes)))

    def zeros(self) -> Array:
        """Return zeros of the shape of the largest weight."""
        return jnp.zeros(self.shape)

    def mask(self, p: Probabilities) -> Array:
        """Return the probability that each entry is kept."""
        return masks.outer(*(axis.keep(p) for axis in self.axes))

    def take(
        self, weight: Array | np.ndarray, architecture: Architecture, layer: int = 0
    ) -> Array | np.ndarray | None:
        """Return the slice of one architecture; None if it has no such weight."""
        found = [axis.slices(architecture, layer) for axis in self.axes]
        return None if None in found else weight[tuple(itertools.chain(*found))]


@dataclasses.dataclass(frozen=True)
class Layers:
    """Weights of equal layers, stacked along a leading axis.

    The slices of one architecture are a tuple with the weights of each layer.
    """

    along: Axis
    """the axis of layers"""
    each: Any
    """a tree of `Leaf`, the weights of one layer"""

    def zeros(self) -> Any:
        """Return zeros of the shapes of the largest weights."""
        size = self.along.shape
        return jax.tree.map(lambda leaf: jnp.zeros(size + leaf.shape), self.each)

    def mask(self, p: Probabilities) -> Any:
        """Return the probability that each entry is kept, in each layer."""
        is_used = self.along.keep(p)

        def stack(leaf: Leaf) -> Array:
            over = tuple(0 if axis.is_layered else None for axis in leaf.axes)
            kept = (axis.keep(p) for axis in leaf.axes)
            return jax.vmap(masks.outer, (0, *over))(is_used, *kept)

        return jax.tree.map(stack, self.each)

    def take(self, weights: Any, architecture: Architecture) -> tuple[Any, ...]:
        """Return the slices of each layer of one architecture."""
        (used,) = self.along.slices(architecture, 0) or (slice(0),)

        def take_layer(layer: int) -> Any:
            def take(leaf: Leaf, stacked: Any) -> Any:
                return leaf.take(stacked[layer], architecture, layer)

            return jax.tree.map(take, self.each, weights)

        return tuple(map(take_layer, range(*used.indices(self.along.shape[0]))))


def zeros(declared: Any) -> Any:
    """Return zeros with the structure and the shapes of the largest weights."""
    return jax.tree.map(lambda leaf: leaf.zeros(), declared)


def keep(dimensions: Any, p: Probabilities) -> Any:
    """Replace each axis of a tree by the probabilities that its entries are kept."""
    return jax.tree.map(lambda axis: axis.keep(p), dimensions)


def mask(declared: Any, p: Probabilities) -> Any:
    """Return the probability that each weight is in the network.

    Args:
      declared: a tree of `Leaf` and `Layers`.
      p: probabilities of the options.

    Returns:
      Arrays in 0..1 with the structure and the shapes of the weights.
    """
    return jax.tree.map(lambda leaf: leaf.mask(p), declared)


def take(declared: Any, weights: Any, architecture: Architecture) -> Any:
    """Return the weights of one network as slices of the largest weights.

    Args:
      declared: a tree of `Leaf` and `Layers`.
      weights: weights of the largest network.
      architecture: one option per row of each choice.
    """
    return jax.tree.map(
        lambda leaf, weight: leaf.take(weight, architecture), declared, weights
    )


def put(declared: Any, sliced: Any, architecture: Architecture) -> Any:
    """Return the largest weights that hold the slices of one network and 0 elsewhere.

    Args:
      declared: a tree of `Leaf` and `Layers`.
      sliced: weights of one network, as `take` returns them.
      architecture: one option per row of each choice.
    """

    def take_fn(weights: Any) -> Any:
        return take(declared, weights, architecture)

    (weights,) = jax.linear_transpose(take_fn, zeros(declared))(sliced)
    return weights
