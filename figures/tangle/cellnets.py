"""Networks of cells as supernets in every form of `forms`.

On each edge, weight sharing has all operations with separate weights, entangled outputs
use slices of common weights, and superposition has one pass for all operations of a
kind, normalised by the mass of the group (`swajax.tangle.layers.norms`). The single
path has the largest operation on every edge.
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
    """Return the operation with the most weights."""
    return max(operations, key=lambda name: OPERATIONS[name].rank)


def draw_edge(
    key: Key, operations: Operations, form: Form, *, num_channels: int, stride: int
) -> Any:
    """Draw the weights of an edge; those of weight sharing are a tuple."""
    options = {"num_channels": num_channels, "stride": stride}
    if form == "single":
        return cells.draw_edge(key, (find_largest(operations),), **options)
    if form != "ws":
        return cells.draw_edge(key, operations, **options)
    keys = jax.random.split(key, len(operations))
    return tuple(
        cells.draw_edge(subkey, (name,), **options)
        for subkey, name in zip(keys, operations, strict=True)
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
    """Return the outputs of the mixture of an edge."""
    if form == "single":
        name = find_largest(operations)
        return cells.apply_edge(weights, x, operation=name, stride=stride)
    if form == "sup":
        options = {"operations": operations, "stride": stride, "is_paper_form": False}
        return cells.mix_edge(weights, x, p, **options)
    total = jnp.zeros_like(x[:, ::stride, ::stride])
    for index, name in enumerate(operations):
        edge_weights = (
            weights[index] if form == "ws" else take_edge(weights, operations, index)
        )
        out = cells.apply_edge(edge_weights, x, operation=name, stride=stride)
        total = total + p[index] * out
    return total


def take_edge(weights: Any, operations: Operations, index: int) -> Any:
    """Return the slice of one operation."""
    choice = Choice("edge", operations, "operation")
    declared = cells.declare_edge(weights, choice, 0)
    return axes.take(declared, weights, {"edge": (index,)})


def make_nb201(config: DigitsCellConfig, input_shape: tuple[int, ...]) -> Supernet:
    """Make NAS-Bench-201 (arXiv:2001.00326): stages of equal cells, run in a loop."""
    graph, names = config.graph, config.operations
    stages = [part.count("normal") for part in config.layout.split("-residual-")]
    sizes = [config.channels * 2**index for index in range(len(stages))]
    num_edges = cells.count_edges(graph)

    def draw_cell(key: Key, form: Form, size: int) -> Cell:
        keys = jax.random.split(key, num_edges)
        options = {"num_channels": size, "stride": 1}
        return Cell((), tuple(draw_edge(k, names, form, **options) for k in keys))

    def init(key: Key, form: Form) -> Any:
        stem_key, stage_key, reduce_key, last_key = jax.random.split(key, 4)
        drawn, between = [], []
        for index, (num_cells, size) in enumerate(zip(stages, sizes, strict=True)):
            keys = jax.random.split(jax.random.fold_in(stage_key, index), num_cells)
            draw = functools.partial(draw_cell, form=form, size=size)
            drawn.append(jax.vmap(draw)(keys))
            if index:
                subkey, half = jax.random.fold_in(reduce_key, index), size // 2
                shapes = (3, 3, half, size), (3, 3, size, size), (1, 1, half, size)
                between.append(operations_lib.draw_kernels(subkey, *shapes))
        shape = (3, 3, config.image_channels, config.stem)
        (stem,) = operations_lib.draw_kernels(stem_key, shape)
        return stem, drawn, between, draw_affine(last_key, (sizes[-1], 10))

    def apply(params: Any, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        stem, drawn, between, last = params

        def edge(index: int, weights: Any, x: Array, stride: int) -> Array:
            p_edge = p["edge"][index]
            return apply_edge(weights, x, p_edge, names, form, stride=stride)

        def run(x: Array, cell: Cell) -> tuple[Array, None]:
            options = {"graph": graph, "stride": 1, "edge_fn": edge}
            return cells.apply_cell(cell, [x], **options), None

        x = operations_lib.normalise(operations_lib.convolve(x, stem))
        for index, stage in enumerate(drawn):
            x = _reduce(x, between[index - 1]) if index else x
            x = jax.lax.scan(run, x, stage, unroll=unroll)[0]
        return read_out(x.mean(axis=(1, 2)), last)

    return Supernet({"edge": (num_edges, len(names))}, init, apply, input_shape)


def make_cells(config: DigitsCellConfig, input_shape: tuple[int, ...]) -> Supernet:
    """Make the networks of `digits_cell`, which have no loop over cells."""

    def init(key: Key, form: Form) -> Weights:
        return digits_cell.draw(config, key, functools.partial(draw_edge, form=form))

    def apply(params: Weights, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        del unroll

        def mix(kind: str, index: int, weights: Any, x: Array, stride: int) -> Array:
            p_edge, names = p[kind][index], config.operations
            return apply_edge(weights, x, p_edge, names, form, stride=stride)

        return digits_cell.apply_graph(config, params, x, mix)

    shape = (cells.count_edges(config.graph), len(config.operations))
    return Supernet({"normal": shape, "reduce": shape}, init, apply, input_shape)


def _reduce(x: Array, kernels: Any) -> Array:
    """Apply a residual block that halves the sides.

    The block of `digits_cell` computes a mean before the shortcut; this version belongs
    to the published memory measurements.
    """
    first, second, short = kernels
    out = operations_lib.normalise(
        operations_lib.convolve(jax.nn.relu(x), first, stride=2)
    )
    out = operations_lib.normalise(operations_lib.convolve(jax.nn.relu(out), second))
    return out + operations_lib.convolve(x, short, stride=2)
