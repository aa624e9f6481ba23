"""Networks of cells as supernets in every form of `forms`.

On an edge weight sharing has all operations with weights of their own, entangled
outputs have them on slices of common weights, and superposition has one pass for all
operations of a kind, with the mass of the group (`swajax.tangle.norms`). The single
path has the largest operation on every edge.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.benchmarks.tangle.forms import Form
from swajax.benchmarks.tangle.supernets import Supernet, read_out
from swajax.tangle import cells
from swajax.tangle import operations as functions
from swajax.tangle.cells import Cell, Graph
from swajax.tangle.layers import draw_affine
from swajax.tangle.operations import OPERATIONS
from swajax.types import Key

NB201 = ("none", "skip", "conv1", "conv3", "avg3")
DARTS = ("none", "max3", "avg3", "skip", "sep3", "sep5", "dil3", "dil5")
DIGITS = ("sep3", "sep5", "dil3", "dil5")
Operations = tuple[str, ...]


def find_largest(operations: Operations) -> str:
    """The operation of most weights."""
    return max(operations, key=lambda name: OPERATIONS[name].rank)


def draw_edge(
    key: Key, operations: Operations, form: Form, *, num_channels: int, stride: int
) -> Any:
    """Weights of an edge; those of weight sharing are a tuple."""
    how = {"num_channels": num_channels, "stride": stride}
    if form == "single":
        return cells.draw_edge(key, (find_largest(operations),), **how)
    if form != "ws":
        return cells.draw_edge(key, operations, **how)
    keys = jax.random.split(key, len(operations))
    return tuple(
        cells.draw_edge(own, (name,), **how)
        for own, name in zip(keys, operations, strict=True)
    )


def apply_edge(
    weights: Any,
    x: Array,
    p: Float[Array, " K"],
    operations: Operations,
    form: Form,
    *,
    stride: int,
) -> Array:
    """The mixture of an edge."""
    if form == "single":
        name = find_largest(operations)
        return cells.apply_edge(weights, x, operation=name, stride=stride)
    if form == "sup":
        how = {"operations": operations, "stride": stride, "is_paper_form": False}
        return cells.mix_edge(weights, x, p, **how)
    total = jnp.zeros_like(x[:, ::stride, ::stride])
    for place, name in enumerate(operations):
        own = cells.take_edge(weights, operation=name) if form == "weo" else None
        own = weights[place] if own is None else own
        out = cells.apply_edge(own, x, operation=name, stride=stride)
        total = total + p[place] * out
    return total


def make_nb201(*, num_channels: int = 16, num_cells: int = 5) -> Supernet:
    """NAS-Bench-201 (arXiv:2001.00326): three stages of equal cells, images 32 x 32."""
    graph, sizes = Graph(1, 3, "last"), [num_channels * 2**n for n in range(3)]

    def draw_cell(key: Key, form: Form, size: int) -> Cell:
        keys = jax.random.split(key, cells.count_edges(graph))
        how = {"num_channels": size, "stride": 1}
        return Cell((), tuple(draw_edge(own, NB201, form, **how) for own in keys))

    def init(key: Key, form: Form) -> Any:
        stem_key, stage_key, reduce_key, last_key = jax.random.split(key, 4)
        stages, between = [], []
        for place, size in enumerate(sizes):
            keys = jax.random.split(jax.random.fold_in(stage_key, place), num_cells)
            draw = functools.partial(draw_cell, form=form, size=size)
            stages.append(jax.vmap(draw)(keys))
            if place:
                own, half = jax.random.fold_in(reduce_key, place), size // 2
                shapes = (3, 3, half, size), (3, 3, size, size), (1, 1, half, size)
                between.append(functions.draw_kernels(own, *shapes))
        (stem,) = functions.draw_kernels(stem_key, (3, 3, 3, num_channels))
        return stem, stages, between, draw_affine(last_key, (sizes[-1], 10))

    def apply(params: Any, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        stem, stages, between, last = params

        def edge(place: int, weights: Any, x: Array, stride: int) -> Array:
            own = p["edge"][place]
            return apply_edge(weights, x, own, NB201, form, stride=stride)

        def run(x: Array, cell: Cell) -> tuple[Array, None]:
            how = {"graph": graph, "stride": 1, "edge_fn": edge}
            return cells.apply_cell(cell, [x], **how), None

        x = functions.normalise(functions.convolve(x, stem))
        for place, stage in enumerate(stages):
            x = _reduce(x, between[place - 1]) if place else x
            x = jax.lax.scan(run, x, stage, unroll=unroll)[0]
        return read_out(x.mean(axis=(1, 2)), last)

    return Supernet({"edge": (6, len(NB201))}, init, apply, (32, 32, 3))


def make_cells(
    operations: Operations,
    *,
    num_channels: int,
    num_cells: int,
    num_inputs: int,
    num_nodes: int,
    reducing: Sequence[int],
    input_shape: tuple[int, int, int],
) -> Supernet:
    """Cells of two kinds one after another, as in the space of arXiv:1806.09055.

    Args:
      operations: of each edge.
      num_channels: of the nodes of the first cell.
      num_cells: cells.
      num_inputs: results that a cell reads, the latest.
      num_nodes: of a cell, all of them its result.
      reducing: cells that halve the image and double the channels.
      input_shape: of an image.
    """
    graph = Graph(num_inputs, num_nodes, "concat")
    num_edges = cells.count_edges(graph)
    plan = _plan_channels(num_channels, num_cells, graph, reducing)

    def draw_cell(key: Key, form: Form, place: int) -> Cell:
        entry_key, edge_key = jax.random.split(key)
        read, size = plan[place]
        shapes = [(1, 1, num, size) for num in read]
        edges = []
        for edge, own in enumerate(jax.random.split(edge_key, num_edges)):
            is_cut = place in reducing and edge in _find_reducing(graph)
            how = {"num_channels": size, "stride": 2 if is_cut else 1}
            edges.append(draw_edge(own, operations, form, **how))
        return Cell(functions.draw_kernels(entry_key, *shapes), tuple(edges))

    def init(key: Key, form: Form) -> Any:
        *keys, stem_key, last_key = jax.random.split(key, num_cells + 2)
        drawn = [draw_cell(own, form, place) for place, own in enumerate(keys)]
        shape = (3, 3, input_shape[-1], plan[0][0][-1])
        last = draw_affine(last_key, (num_nodes * plan[-1][1], 10))
        return functions.draw_kernels(stem_key, shape)[0], drawn, last

    def apply(params: Any, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        del unroll
        stem, drawn, last = params
        before = [functions.normalise(functions.convolve(x, stem))] * num_inputs
        for place, cell in enumerate(drawn):
            is_cut = place in reducing
            vectors = p["reduce" if is_cut else "normal"]

            def edge(
                index: int, weights: Any, x: Array, stride: int, vectors: Any = vectors
            ) -> Array:
                own = vectors[index]
                return apply_edge(weights, x, own, operations, form, stride=stride)

            how = {"graph": graph, "stride": 2 if is_cut else 1, "edge_fn": edge}
            before = [*before[1:], cells.apply_cell(cell, before, **how)]
        return read_out(before[-1].mean(axis=(1, 2)), last)

    shape = (num_edges, len(operations))
    return Supernet({"normal": shape, "reduce": shape}, init, apply, input_shape)


def _plan_channels(
    num_channels: int, num_cells: int, graph: Graph, reducing: Sequence[int]
) -> list[tuple[tuple[int, ...], int]]:
    """Channels that each cell reads from those before it, and its own."""
    # Three times as many come in as in arXiv:1806.09055, if two cells are read.
    start = num_channels * (3 if graph.num_inputs == 2 else 1)
    read, size, plan = (start,) * graph.num_inputs, num_channels, []
    for place in range(num_cells):
        size = 2 * size if place in reducing else size
        plan.append((read, size))
        read = (*read[1:], graph.num_nodes * size)
    return plan


def _find_reducing(graph: Graph) -> Sequence[int]:
    """Edges that leave an input."""
    found, place = [], 0
    for node in range(graph.num_nodes):
        found += range(place, place + graph.num_inputs)
        place += graph.num_inputs + node
    return found


def _reduce(x: Array, kernels: Any) -> Array:
    """A residual block that halves the sides."""
    first, second, short = kernels
    out = functions.normalise(functions.convolve(jax.nn.relu(x), first, stride=2))
    out = functions.normalise(functions.convolve(jax.nn.relu(out), second))
    return out + functions.convolve(x, short, stride=2)
