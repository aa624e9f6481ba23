"""Cells of convolutional networks: graphs with a choice of operation per edge.

Operations of one kind that differ in kernel size share weights, the smaller kernel
being the centre of the larger one (arXiv:2312.10440, section 3). All other operations
are mixed by their outputs.

Letters: S pixels along a kernel, C channels, K operations, N images.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from swajax.tangle.choices import Choice
from swajax.tangle.layers import axes, masks, norms
from swajax.tangle.layers.axes import Leaf
from swajax.tangle.layers.operations import (
    OPERATIONS,
    SEPARABLE,
    Images,
    Separable,
    activate_and_convolve,
    draw_kernels,
    make_operation,
)
from swajax.types import Key


class Cell(NamedTuple):
    """Weights of a cell; edges are ordered by their target node."""

    entries: tuple[Float[Array, "1 1 I C"], ...]  # one per input, if channels differ
    edges: tuple[dict[str, Any], ...]  # weights by kind of operation


class Graph(NamedTuple):
    """Shape of the graph of a cell."""

    num_inputs: int  # number of preceding cells whose results are read
    num_nodes: int
    join: Literal["concat", "last"]  # nodes that form the result


def count_edges(graph: Graph) -> int:
    """Return the number of edges; a node reads the inputs and all preceding nodes."""
    return sum(graph.num_inputs + node for node in range(graph.num_nodes))


def draw_edge(
    key: Key, operations: Sequence[str], *, num_channels: int, stride: int
) -> dict[str, Any]:
    """Draw normal weights of variance 2 / fan in for each kind of operation."""
    weights: dict[str, Any] = {}
    for kind, members in _group_by_kind(operations).items():
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
    """Mix all operations of an edge, in one pass per kind.

    Args:
      weights: weights from `draw_edge`.
      x: images.
      p: probabilities of the operations.
      operations: keys of `OPERATIONS`.
      stride: stride of the operations.
      is_paper_form: see `norms.group_norm_with_mass`.
    """
    total = jnp.zeros_like(x[:, ::stride, ::stride])
    for kind, members in _group_by_kind(operations).items():
        apply_fn = make_operation(kind, weights.get(kind), x, stride)
        if len(members) == 1:
            total = total + p[members[0]] * apply_fn(None)
            continue
        table = _kernel_table(operations, members)
        total = total + norms.group_norm_with_mass(
            p[np.asarray(members)],
            lambda shares, apply_fn=apply_fn, table=table: apply_fn(
                masks.keep_probability(shares, table)
            ),
            is_paper_form=is_paper_form,
        )
    return total


def apply_edge(
    weights: dict[str, Any], x: Images, *, operation: str, stride: int
) -> Images:
    """Apply one operation with sliced weights."""
    kind = OPERATIONS[operation].kind
    return make_operation(kind, weights.get(kind), x, stride)(None)


def declare_edge(weights: dict[str, Any], choice: Choice, row: int) -> dict[str, Any]:
    """Return the axes of the weights of an edge.

    An operation keeps the centre of the kernels of its kind and all other weights of
    its kind. It removes the weights of other kinds.

    Args:
      weights: weights from `draw_edge`, or their shapes.
      choice: choice of the operations.
      row: row of the edge.
    """
    return {
        kind: _declare_kind(weights[kind], choice, row, members)
        for kind, members in _group_by_kind(choice.options).items()
        if kind in weights
    }


def apply_cell(
    cell: Cell,
    inputs: Sequence[Images],
    *,
    graph: Graph,
    stride: int,
    edge_fn: Callable[[int, dict[str, Any], Images, int], Images],
) -> Images:
    """Evaluate the graph of a cell.

    Args:
      cell: weights of a supernet or of one network.
      inputs: results of the preceding cells, in order.
      graph: shape of the graph.
      stride: stride of the edges that leave the inputs.
      edge_fn: maps index of an edge, its weights, images and stride to images.
    """
    states = list(inputs)
    if cell.entries:
        size = inputs[-1].shape[1]
        states = [
            activate_and_convolve(x, kernel, stride=x.shape[1] // size)
            for x, kernel in zip(inputs, cell.entries, strict=True)
        ]
    index = 0
    for _ in range(graph.num_nodes):
        total = 0.0
        for source, x in enumerate(states):
            step = stride if source < graph.num_inputs else 1
            total = total + edge_fn(index, cell.edges[index], x, step)
            index += 1
        states.append(total)
    if graph.join == "last":
        return states[-1]
    return jnp.concatenate(states[graph.num_inputs :], axis=-1)


def _declare_kind(
    weights: Any, choice: Choice, row: int, members: Sequence[int]
) -> Any:
    centres = _kernel_table(choice.options, members)
    table = np.zeros((len(choice.options), *centres.shape[1:]), bool)
    table[np.asarray(members)] = centres
    kernel = axes.follow(choice, row, table=table)
    presence = axes.follow(choice, row, table=table.any(axis=(1, 2)))

    def declare(leaf: Any) -> Leaf:
        if len(leaf.shape) == 4:
            return Leaf(kernel, axes.fixed(*leaf.shape[2:]))
        return Leaf(presence, axes.fixed(*leaf.shape))

    return jax.tree.map(declare, weights)


def _group_by_kind(operations: Sequence[str]) -> dict[str, list[int]]:
    """Return the indices of the operations of each kind, in alphabetical order."""
    kinds = sorted({OPERATIONS[name].kind for name in operations})
    return {
        kind: [n for n, o in enumerate(operations) if OPERATIONS[o].kind == kind]
        for kind in kinds
    }


def _kernel_table(
    operations: Sequence[str], members: Sequence[int]
) -> Bool[np.ndarray, "M S S"]:
    return masks.centre([OPERATIONS[operations[index]].size for index in members])
