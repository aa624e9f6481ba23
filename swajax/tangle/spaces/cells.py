"""Cells of convolutional networks: which operation stands on each edge of a graph.

Operations of one kind that differ by the size of their kernel share weights, the
smaller kernel being the centre of the larger (arXiv:2312.10440, section 3). All else is
mixed by its outputs.

Letters: S pixels along a kernel, C channels, K operations, N images.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax.tangle.layers import masks, norms
from swajax.tangle.layers.operations import (
    OPERATIONS,
    SEPARABLE,
    Images,
    Separable,
    activate_and_convolve,
    bind,
    draw_kernels,
)
from swajax.types import Key


class Cell(NamedTuple):
    """Weights of a graph; edges are ordered by the node that they lead to."""

    entries: tuple[Float[Array, "1 1 I C"], ...]  # from each input, if sizes differ
    edges: tuple[dict[str, Any], ...]  # from kinds of operations to weights


class Graph(NamedTuple):
    """The form of a cell."""

    num_inputs: int  # results of the cells before that are read
    num_nodes: int
    join: Literal["concat", "last"]  # what of the nodes is the result


def count_edges(graph: Graph) -> int:
    """Each node reads the inputs and all nodes before it."""
    return sum(graph.num_inputs + node for node in range(graph.num_nodes))


def draw_edge(
    key: Key, operations: Sequence[str], *, num_channels: int, stride: int
) -> dict[str, Any]:
    """Normal weights of variance 2 / fan in of every kind of operation that has any."""
    weights: dict[str, Any] = {}
    for kind, members in _find_kinds(operations).items():
        side = max(OPERATIONS[operations[index]].size for index in members)
        key, *keys = jax.random.split(key, 5)
        if kind in SEPARABLE:
            times = SEPARABLE[kind][0]
            shapes = [(side, side, 1, num_channels), (num_channels, num_channels)]
            drawn = [draw_kernels(k, *shapes) for k in keys[:times]]
            weights[kind] = Separable(*zip(*drawn, strict=True))
        elif kind == "conv" or (kind == "skip" and stride > 1):
            shape = (side, side, num_channels, num_channels)
            (weights[kind],) = draw_kernels(keys[0], shape)
    return weights


def mix_edge(
    weights: dict[str, Any],
    x: Images,
    p: Float[Array, " K"],
    *,
    operations: Sequence[str],
    stride: int,
    is_paper_form: bool,
) -> Images:
    """All operations of an edge at once, one pass for each kind.

    Args:
      weights: of `draw_edge`.
      x: images.
      p: probabilities of the operations.
      operations: keys of `OPERATIONS`.
      stride: of the result.
      is_paper_form: see `norms.entangled_group`.
    """
    total = jnp.zeros_like(x[:, ::stride, ::stride])
    for kind, members in _find_kinds(operations).items():
        run = bind(kind, weights.get(kind), x, stride)
        if len(members) == 1:
            total = total + p[members[0]] * run(None)
            continue
        table = _kernel_table(operations, members)
        total = total + norms.group_norm_with_mass(
            p[np.asarray(members)],
            lambda shares, run=run, table=table: run(
                masks.keep_probability(shares, table)
            ),
            is_paper_form=is_paper_form,
        )
    return total


def apply_edge(
    weights: dict[str, Any], x: Images, *, operation: str, stride: int
) -> Images:
    """One operation, its weights being sliced."""
    kind = OPERATIONS[operation].kind
    return bind(kind, weights.get(kind), x, stride)(None)


def mask_edge(
    weights: dict[str, Any], p: Float[Array, " K"], *, operations: Sequence[str]
) -> dict[str, Any]:
    """Probability that each weight is in the network."""

    def mask(kind: str, members: list[int]) -> Any:
        own = p[np.asarray(members)]
        kept = masks.keep_probability(own, _kernel_table(operations, members))

        def expand(leaf: Array) -> Array:
            shape = (*kept.shape, 1, 1)
            is_square = leaf.shape[:2] == kept.shape and leaf.ndim == 4
            source = kept.reshape(shape) if is_square else own.sum()
            return jnp.broadcast_to(source, leaf.shape)

        return jax.tree.map(expand, weights[kind])

    found = _find_kinds(operations).items()
    return {kind: mask(kind, members) for kind, members in found if kind in weights}


def take_edge(weights: dict[str, Any], *, operation: str) -> dict[str, Any]:
    """The weights of one operation."""
    kind, size, _ = OPERATIONS[operation]
    if kind not in weights:
        return {}

    def centre(leaf: Array) -> Array:
        start = (leaf.shape[0] - size) // 2
        middle = slice(start, start + size)
        return leaf[middle, middle] if leaf.ndim == 4 else leaf

    return {kind: jax.tree.map(centre, weights[kind])}


def apply_cell(
    cell: Cell,
    inputs: Sequence[Images],
    *,
    graph: Graph,
    stride: int,
    edge_fn: Callable[[int, dict[str, Any], Images, int], Images],
) -> Images:
    """The graph of a cell, whatever stands on its edges.

    Args:
      cell: weights, of a supernet or of one network.
      inputs: results of cells before, the latest last.
      graph: its form.
      stride: of the edges that leave the inputs.
      edge_fn: place of an edge, its weights, images and stride to images.
    """
    states = list(inputs)
    if cell.entries:
        size = inputs[-1].shape[1]
        states = [
            activate_and_convolve(x, kernel, stride=x.shape[1] // size)
            for x, kernel in zip(inputs, cell.entries, strict=True)
        ]
    place = 0
    for _ in range(graph.num_nodes):
        total = 0.0
        for source, x in enumerate(states):
            step = stride if source < graph.num_inputs else 1
            total = total + edge_fn(place, cell.edges[place], x, step)
            place += 1
        states.append(total)
    if graph.join == "last":
        return states[-1]
    return jnp.concatenate(states[graph.num_inputs :], axis=-1)


def _find_kinds(operations: Sequence[str]) -> dict[str, list[int]]:
    """Places of the operations of each kind, in an order that is always the same."""
    kinds = sorted({OPERATIONS[name].kind for name in operations})
    return {
        kind: [n for n, o in enumerate(operations) if OPERATIONS[o].kind == kind]
        for kind in kinds
    }


def _kernel_table(operations: Sequence[str], members: Sequence[int]) -> Any:
    return masks.centre([OPERATIONS[operations[index]].size for index in members])
