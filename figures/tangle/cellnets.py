"""Networks of cells as supernets in every form of `forms`.

On an edge weight sharing has all operations with weights of their own, entangled
outputs have them on slices of common weights, and superposition has one pass for all
operations of a kind, with the mass of the group (`swajax.tangle.layers.norms`). The
single path has the largest operation on every edge. Operations, cells and, where they
need no loop, networks are those of the spaces.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from figures.tangle.forms import Form
from figures.tangle.supernets import Supernet, read_out
from swajax.tangle.choices import Choice
from swajax.tangle.layers import axes
from swajax.tangle.layers import operations as operations_lib
from swajax.tangle.layers.affine import draw_affine
from swajax.tangle.layers.operations import OPERATIONS
from swajax.tangle.spaces import cells, digits_cell
from swajax.tangle.spaces.cells import Cell
from swajax.tangle.spaces.digits_cell import DigitsCellConfig, Weights
from swajax.types import Key

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
        own = weights[place] if form == "ws" else take_edge(weights, operations, place)
        out = cells.apply_edge(own, x, operation=name, stride=stride)
        total = total + p[place] * out
    return total


def take_edge(weights: Any, operations: Operations, place: int) -> Any:
    """Weights of one operation, sliced."""
    choice = Choice("edge", operations, "operation")
    declared = cells.declare_edge(weights, choice, 0)
    return axes.take(declared, weights, {"edge": (place,)})


def make_nb201(config: DigitsCellConfig, input_shape: tuple[int, ...]) -> Supernet:
    """NAS-Bench-201 (arXiv:2001.00326): stages of equal cells, each run in a loop."""
    graph, names = config.graph, config.operations
    stages = [part.count("normal") for part in config.layout.split("-residual-")]
    sizes = [config.channels * 2**place for place in range(len(stages))]
    num_edges = cells.count_edges(graph)

    def draw_cell(key: Key, form: Form, size: int) -> Cell:
        keys = jax.random.split(key, num_edges)
        how = {"num_channels": size, "stride": 1}
        return Cell((), tuple(draw_edge(own, names, form, **how) for own in keys))

    def init(key: Key, form: Form) -> Any:
        stem_key, stage_key, reduce_key, last_key = jax.random.split(key, 4)
        drawn, between = [], []
        for place, (num_cells, size) in enumerate(zip(stages, sizes, strict=True)):
            keys = jax.random.split(jax.random.fold_in(stage_key, place), num_cells)
            draw = functools.partial(draw_cell, form=form, size=size)
            drawn.append(jax.vmap(draw)(keys))
            if place:
                own, half = jax.random.fold_in(reduce_key, place), size // 2
                shapes = (3, 3, half, size), (3, 3, size, size), (1, 1, half, size)
                between.append(operations_lib.draw_kernels(own, *shapes))
        shape = (3, 3, config.image_channels, config.stem)
        (stem,) = operations_lib.draw_kernels(stem_key, shape)
        return stem, drawn, between, draw_affine(last_key, (sizes[-1], 10))

    def apply(params: Any, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        stem, drawn, between, last = params

        def edge(place: int, weights: Any, x: Array, stride: int) -> Array:
            own = p["edge"][place]
            return apply_edge(weights, x, own, names, form, stride=stride)

        def run(x: Array, cell: Cell) -> tuple[Array, None]:
            how = {"graph": graph, "stride": 1, "edge_fn": edge}
            return cells.apply_cell(cell, [x], **how), None

        x = operations_lib.normalise(operations_lib.convolve(x, stem))
        for place, stage in enumerate(drawn):
            x = _reduce(x, between[place - 1]) if place else x
            x = jax.lax.scan(run, x, stage, unroll=unroll)[0]
        return read_out(x.mean(axis=(1, 2)), last)

    return Supernet({"edge": (num_edges, len(names))}, init, apply, input_shape)


def make_cells(config: DigitsCellConfig, input_shape: tuple[int, ...]) -> Supernet:
    """The networks of `digits_cell`, whose cells are not run in a loop."""

    def init(key: Key, form: Form) -> Weights:
        return digits_cell.draw(config, key, functools.partial(draw_edge, form=form))

    def apply(params: Weights, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        del unroll

        def mix(kind: str, place: int, weights: Any, x: Array, stride: int) -> Array:
            own, names = p[kind][place], config.operations
            return apply_edge(weights, x, own, names, form, stride=stride)

        return digits_cell.apply_graph(config, params, x, mix)

    shape = (cells.count_edges(config.graph), len(config.operations))
    return Supernet({"normal": shape, "reduce": shape}, init, apply, input_shape)


def _reduce(x: Array, kernels: Any) -> Array:
    """A residual block that halves the sides.

    That of `digits_cell` takes a mean before the shortcut; this one is what the
    published memory was measured with.
    """
    first, second, short = kernels
    out = operations_lib.normalise(
        operations_lib.convolve(jax.nn.relu(x), first, stride=2)
    )
    out = operations_lib.normalise(operations_lib.convolve(jax.nn.relu(out), second))
    return out + operations_lib.convolve(x, short, stride=2)
