"""Networks of cells on images of 8 x 8 pixels: 4096 networks.

A small version of the toy cell space of arXiv:2312.10440 (appendix) with one operation
per edge. All normal cells share one architecture vector, as do all reduction cells,
which halve the image.

Batch normalisation uses the statistics of the images in the call: the batch in
training, otherwise all images that are evaluated together. There is no state besides
the weights, inherited and retrained networks are evaluated in the same way, and the
result for an image depends on the other images.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import jax
from jaxtyping import Array, Float

from swajax.io import configs
from swajax.tangle.choices import Architecture, Choice, Probabilities
from swajax.tangle.layers import affine, axes, operations
from swajax.tangle.layers.axes import Leaf
from swajax.tangle.layers.operations import Images
from swajax.tangle.spaces import cells
from swajax.tangle.spaces.base import SearchSpace, make_search_space
from swajax.tangle.spaces.cells import Cell, Graph
from swajax.types import Key

PARTS = ("normal", "reduce", "residual")


@dataclasses.dataclass(frozen=True)
class DigitsCellConfig:
    """Options of the space and layout of its networks."""

    operations: tuple[str, ...] = ("sep3", "sep5", "dil3", "dil5")
    """candidate operations, chosen for each edge"""
    layout: str = "reduce-normal-normal"
    """cells in order: normal, reduce (halves the image, doubles the channels), or
    residual (a block that does the same without choices)"""
    channels: int = 8
    """channels of a node; every cell that halves the image doubles them"""
    stem: int = 8
    """channels of the convolution before the first cell"""
    num_inputs: Literal[1, 2] = 1
    """preceding cells that a cell reads"""
    num_nodes: int = 2
    """nodes of a cell"""
    join: Literal["concat", "last"] = "concat"
    """result of a cell: all nodes (concat), or the last node (last); with last, no
    convolution adapts the channels of its inputs"""
    image_channels: int = 1
    """channels of the images"""
    num_classes: int = 10
    """outputs O"""
    is_paper_form: bool = False
    """do not multiply a kind of convolution by its probability after normalisation"""

    def __post_init__(self) -> None:
        """Reject unknown operations and layouts, and numbers below one."""
        configs.convert_fields(self)
        if unknown := set(self.operations) - set(operations.OPERATIONS):
            raise ValueError(
                f"operations must be among {tuple(operations.OPERATIONS)}, got "
                f"{sorted(unknown)}"
            )
        parts = self.layout.split("-")
        if not {"normal", "reduce"} & set(parts) or set(parts) - set(PARTS):
            raise ValueError(
                f"layout must be {' or '.join(PARTS)}, joined by -, with at least one "
                f"cell, got {self.layout!r}"
            )
        if self.join == "last" and self.num_inputs == 2 and "residual" in parts:
            raise ValueError(
                "a residual block changes the channels and requires join concat or one "
                f"input, got {self.layout!r}"
            )
        for name in ("channels", "stem", "num_nodes", "image_channels", "num_classes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.join == "last" and ("reduce" in parts or self.stem != self.channels):
            raise ValueError(
                "with join last, channels must not change between cells: stem must be "
                f"{self.channels}, got {self.stem}, and no cell may be reduce"
            )

    @property
    def graph(self) -> Graph:
        """Shape of the graph of every cell."""
        return Graph(self.num_inputs, self.num_nodes, self.join)


class Residual(NamedTuple):
    """Block without choices: two convolutions, and a pooled pointwise shortcut."""

    first: Float[Array, "3 3 I O"]
    second: Float[Array, "3 3 O O"]
    shortcut: Float[Array, "1 1 I O"]


class Weights(NamedTuple):
    """Weights of the largest network, or the slices of one network."""

    stem: Float[Array, "3 3 I O"]
    cells: tuple[Cell | Residual, ...]
    readout: Float[Array, "C O"]
    readout_bias: Float[Array, " O"]


def make_digits_cell(config: DigitsCellConfig) -> SearchSpace:
    """Return the space, with the choices normal and reduce and one row per edge."""
    return make_search_space(
        "digits-cell",
        tuple(make_choices(config).values()),
        config,
        declared=declare(config),
        init=init,
        apply=apply,
        apply_standalone=apply_standalone,
    )


def make_choices(config: DigitsCellConfig) -> dict[str, Choice]:
    """Return the choice of each kind of cell in the layout."""
    ranks = tuple(operations.OPERATIONS[name].rank for name in config.operations)
    num = cells.count_edges(config.graph)
    kinds = [kind for kind in PARTS[:2] if kind in config.layout.split("-")]
    how = {"kind": "operation", "num_rows": num, "ranks": ranks}
    return {kind: Choice(kind, config.operations, **how) for kind in kinds}


def declare(config: DigitsCellConfig) -> Weights:
    """Return the axes of each weight; only edges have choices."""
    shapes = jax.eval_shape(functools.partial(init, config), jax.random.key(0))
    found = make_choices(config)
    declared = jax.tree.map(lambda leaf: Leaf(axes.fixed(*leaf.shape)), shapes)

    def declare_cell(
        kind: str, fixed: Cell | Residual, weights: Any
    ) -> Cell | Residual:
        if kind == "residual":
            return fixed
        edges = (
            cells.declare_edge(edge, found[kind], row)
            for row, edge in enumerate(weights.edges)
        )
        return fixed._replace(edges=tuple(edges))

    kinds = config.layout.split("-")
    return declared._replace(
        cells=tuple(map(declare_cell, kinds, declared.cells, shapes.cells))
    )


def init(config: DigitsCellConfig, key: Key) -> Weights:
    """Draw normal weights of variance 2 / fan in."""
    return draw(config, key, cells.draw_edge)


def draw(config: DigitsCellConfig, key: Key, draw_fn: Callable[..., Any]) -> Weights:
    """Draw all weights; `draw_fn` draws those of edges, as `cells.draw_edge` does."""
    stem_key, cell_key, readout_key = jax.random.split(key, 3)
    (stem,) = operations.draw_kernels(
        stem_key, (3, 3, config.image_channels, config.stem)
    )
    before = [config.stem] * 2  # channels of the last two results
    drawn = []
    for index, (kind, channels) in enumerate(_plan(config)):
        subkey = jax.random.fold_in(cell_key, index)
        if kind == "residual":
            drawn.append(_draw_residual(subkey, before[-1], channels))
        else:
            drawn.append(_draw_cell(config, subkey, before, kind, channels, draw_fn))
        is_wide = kind != "residual" and config.join == "concat"
        before = [before[-1], channels * (config.num_nodes if is_wide else 1)]
    readout = affine.draw_affine(readout_key, (before[-1], config.num_classes))
    return Weights(stem, tuple(drawn), *readout)


def apply(
    config: DigitsCellConfig, params: Weights, p: Probabilities, x: Images
) -> Float[Array, "N O"]:
    """Evaluate the supernet, in one pass per edge and kind of operation."""

    def mix(kind: str, index: int, weights: Any, x: Images, stride: int) -> Images:
        return cells.mix_edge(
            weights,
            x,
            p[kind][index],
            operations=config.operations,
            stride=stride,
            is_paper_form=config.is_paper_form,
        )

    return apply_graph(config, params, x, mix)


def apply_standalone(
    config: DigitsCellConfig, sliced: Weights, architecture: Architecture, x: Images
) -> Float[Array, "N O"]:
    """Evaluate one network with plain operations."""

    def apply_one(
        kind: str, index: int, weights: Any, x: Images, stride: int
    ) -> Images:
        name = config.operations[architecture[kind][index]]
        return cells.apply_edge(weights, x, operation=name, stride=stride)

    return apply_graph(config, sliced, x, apply_one)


def apply_graph(
    config: DigitsCellConfig,
    weights: Weights,
    x: Images,
    edge_fn: Callable[[str, int, Any, Images, int], Images],
) -> Float[Array, "N O"]:
    """Evaluate a network with given operations on its edges.

    Args:
      config: configuration of the space.
      weights: weights from `draw`, or the slices of one network.
      x: images.
      edge_fn: maps kind of a cell, index of an edge, its weights, images and stride to
        images.
    """
    first = operations.normalise(operations.convolve(x, weights.stem))
    states = [first, first]
    for (kind, _), cell in zip(_plan(config), weights.cells, strict=True):
        if kind == "residual":
            out = _apply_residual(cell, states[-1])
        else:
            out = cells.apply_cell(
                cell,
                states[-config.num_inputs :],
                graph=config.graph,
                stride=2 if kind == "reduce" else 1,
                edge_fn=functools.partial(edge_fn, kind),
            )
        states = [states[-1], out]
    return states[-1].mean(axis=(1, 2)) @ weights.readout + weights.readout_bias[None]


def _plan(config: DigitsCellConfig) -> Iterator[tuple[str, int]]:
    """Yield kind and channels of each cell."""
    channels = config.channels
    for kind in config.layout.split("-"):
        channels *= 1 if kind == "normal" else 2
        yield kind, channels


def _draw_cell(
    config: DigitsCellConfig,
    key: Key,
    before: list[int],
    kind: str,
    channels: int,
    draw_fn: Callable[..., Any],
) -> Cell:
    entries: tuple[Array, ...] = ()
    if config.join == "concat":
        shapes = [(1, 1, num, channels) for num in before[-config.num_inputs :]]
        entries = operations.draw_kernels(jax.random.fold_in(key, 0), *shapes)
    strides = [
        2 if kind == "reduce" and source < config.num_inputs else 1
        for node in range(config.num_nodes)
        for source in range(config.num_inputs + node)
    ]
    edges = tuple(
        draw_fn(
            jax.random.fold_in(key, index),
            config.operations,
            num_channels=channels,
            stride=stride,
        )
        for index, stride in enumerate(strides, start=1)
    )
    return Cell(entries, edges)


def _draw_residual(key: Key, ins: int, outs: int) -> Residual:
    shapes = (3, 3, ins, outs), (3, 3, outs, outs), (1, 1, ins, outs)
    return Residual(*operations.draw_kernels(key, *shapes))


def _apply_residual(weights: Residual, x: Images) -> Images:
    hidden = operations.normalise(operations.convolve(x, weights.first, stride=2))
    hidden = operations.convolve(jax.nn.relu(hidden), weights.second)
    mean = affine.split_blocks(x, 2).mean(axis=(2, 4))
    return operations.normalise(hidden) + operations.convolve(mean, weights.shortcut)
