"""Figure 1: diagram of the framework."""

import itertools
from itertools import pairwise, product
from pathlib import Path

from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from figures.paper import panels
from figures.paper.panels import BLUE, RED

Number = int | float

GREEN, GREY, DARK = "#009E73", "0.93", "0.25"
# Neurons per layer of the sketched networks: inputs, hidden layers, output.
INPUT_LAYERS = (3, 4, 3, 1)
DECODED_LAYERS = ((3, 4, 1), (3, 3, 3, 1), (3, 3, 4, 2, 1), (3, 3, 2, 3, 2, 1))
HEIGHTS = (3.0, 1.0, -1.0, -3.0)  # of the four decoders


def draw(out: Path) -> None:
    """Write figure1.png into a folder."""
    figure = Figure(figsize=(11, 8))
    upper = figure.add_axes((0.0, 0.42, 1.0, 0.58))
    lower = figure.add_axes((0.0, 0.0, 1.0, 0.41))
    upper.set_ylim(-4.0, 5.2)
    lower.set_ylim(-3.1, 3.5)
    for axes in (upper, lower):
        axes.set(xlim=(0, 22), aspect="equal")
        axes.axis("off")
    _draw_pretraining(upper)
    _draw_search(lower)
    panels.save(figure, out / "figure1.png")


def _draw_pretraining(axes: Axes) -> None:
    axes.text(0.3, 4.7, "a", fontsize=14, weight="bold")
    axes.text(0.9, 4.7, "Pretraining: one space for networks of any size", fontsize=12)
    end = _network(axes, 0.5, 0, INPUT_LAYERS, BLUE)
    _note(axes, 1.8, -1.35, "random network:\n1 to 4 hidden layers\nof 3 to 7 neurons")
    _arrow(axes, (end, 0), (4.1, 0))
    _matrix(axes, 4.2, 0)
    _note(axes, 5.5, -0.85, "its weights and\n(red) neuron masks\nas one matrix")
    _arrow(axes, (6.9, 0), (7.4, 0))
    _box(axes, 8.4, 0, 2.0, 1.5, "encoder")
    _note(axes, 8.4, -0.95, "compact also reads\noutputs at fixed points")
    _arrow(axes, (9.4, 0), (10.2, 0))
    _vector(axes, 10.5, 0)
    _note(axes, 10.15, -1.75, "embedding z,\n128 numbers")
    rows = zip(HEIGHTS, DECODED_LAYERS, strict=True)
    for depth, (y, layers) in enumerate(rows, start=1):
        _arrow(axes, (10.75, 0), (11.95, y))
        _box(axes, 13.0, y, 2.0, 1.1, f"decoder {depth}")
        _arrow(axes, (14.0, y), (14.55, y))
        end = _network(axes, 14.8, y, layers, RED, scale=0.62)
        _arrow(axes, (end, y), (18.85, 0.25 * y))
    _box(
        axes,
        20.3,
        0,
        2.8,
        2.4,
        "loss: error of\ntheir outputs,\nof the best of\nfour decoders",
    )
    _path(axes, [(1.8, 1.35), (1.8, 4.1), (20.3, 4.1), (20.3, 1.25)], BLUE)
    _note(axes, 7.5, 4.0, "outputs of the network at random points", BLUE)


def _draw_search(axes: Axes) -> None:
    axes.text(0.3, 3.0, "b", fontsize=14, weight="bold")
    title = "Search: a network for given data, by gradient descent on z"
    axes.text(0.9, 3.0, title, fontsize=12)
    _vector(axes, 1.8, 0)
    _note(axes, 1.8, 2.3, "z, at first that of\na random network")
    _arrow(axes, (2.05, 0), (3.35, 0))
    _box(axes, 4.5, 0, 2.2, 1.5, "decoder d\n(frozen)")
    _arrow(axes, (5.65, 0), (6.4, 0))
    end = _network(axes, 6.7, 0, DECODED_LAYERS[2], RED)
    _note(axes, 8.6, 2.05, "decoded weights and masks\nof d hidden layers")
    _arrow(axes, (end, 0), (11.55, 0))
    _box(axes, 13.1, 0, 3.0, 1.5, "weights below the\nthreshold t fade")
    _arrow(axes, (14.65, 0), (15.55, 0))
    text = "loss: error on the data\n+ sparsity weight \N{MULTIPLICATION SIGN}\n"
    _box(axes, 18.1, 0, 5.0, 1.9, text + "(number and size of weights)")
    _box(axes, 18.1, 2.3, 2.6, 0.9, "data x, y", color="white")
    _arrow(axes, (18.1, 1.85), (18.1, 1.0))
    _path(axes, [(18.1, -0.95), (18.1, -2.3), (1.8, -2.3), (1.8, -1.6)], GREEN)
    _path(axes, [(13.1, -2.3), (13.1, -0.8)], GREEN)
    _note(axes, 8.6, -2.4, "gradient of the loss by z and t", GREEN)


def _network(
    axes: Axes,
    left: Number,
    y: Number,
    layers: tuple[int, ...],
    color: str,
    scale: Number = 1.0,
) -> Number:
    """Draw a sparse network; return the x coordinate at which an arrow may start."""
    gap, radius = 0.95 * scale, 0.2 * scale
    centres = [
        [(left + gap * i, y + 0.62 * scale * (k - (n - 1) / 2)) for k in range(n)]
        for i, n in enumerate(layers)
    ]
    pairs = [pair for two in pairwise(centres) for pair in product(*two)]
    for index, (a, b) in enumerate(pairs):
        if 7 * index % 5 != 2:  # the networks are sparse
            axes.plot(*zip(a, b, strict=True), color=color, lw=0.9, alpha=0.7, zorder=1)
    for centre in itertools.chain(*centres):
        style = {"fc": "white", "ec": color, "lw": 1.4, "zorder": 2}
        axes.add_patch(Circle(centre, radius, **style))
    return left + gap * (len(layers) - 1) + radius + 0.1


def _matrix(axes: Axes, x: Number, y: Number) -> None:
    """Draw the matrix form of the input network: 7 rows, 17 columns."""
    _, first, second, _ = INPUT_LAYERS
    filled = {
        **dict.fromkeys(product(range(2, 5), range(first)), BLUE),
        **dict.fromkeys(product(range(first), range(7, 7 + second)), BLUE),
        **dict.fromkeys(product(range(second), [14]), BLUE),
        **dict.fromkeys(product(range(first), [15]), RED),
        **dict.fromkeys(product(range(second), [16]), RED),
    }
    side = 0.155
    for row, column in product(range(7), range(17)):
        corner = (x + side * column, y + side * (2.5 - row))
        color = filled.get((row, column), "white")
        axes.add_patch(Rectangle(corner, side, side, fc=color, ec="0.5", lw=0.4))


def _vector(axes: Axes, x: Number, y: Number) -> None:
    """Draw a column of numbers as shades of green."""
    shades = (0.9, 0.35, 0.6, 0.15, 0.75, 0.45, 0.25, 0.65, 0.5, 0.8)
    side = 0.3
    for index, shade in enumerate(shades):
        color = colors.to_rgba(GREEN, shade)
        corner = (x - side / 2, y + side * (len(shades) / 2 - index - 1))
        axes.add_patch(Rectangle(corner, side, side, fc=color, ec=DARK, lw=0.6))


def _path(axes: Axes, corners: list[tuple[Number, Number]], color: str) -> None:
    """Draw a line around corners that ends in an arrow."""
    axes.plot(*zip(*corners[:-1], strict=True), color=color, lw=1.3)
    _arrow(axes, *corners[-2:], color=color)


def _box(
    axes: Axes,
    x: Number,
    y: Number,
    width: Number,
    height: Number,
    text: str,
    color: str = GREY,
) -> None:
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=0.2"
    axes.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle=style, fc=color, ec=DARK)
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=9.5)


def _note(axes: Axes, x: Number, y: Number, text: str, color: str = DARK) -> None:
    axes.text(x, y, text, ha="center", va="top", fontsize=9, color=color)


def _arrow(
    axes: Axes,
    start: tuple[Number, Number],
    end: tuple[Number, Number],
    color: str = DARK,
) -> None:
    style = {"arrowstyle": "-|>", "mutation_scale": 11, "lw": 1.3, "color": color}
    axes.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **style))
