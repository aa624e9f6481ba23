"""Response of the output to each column that a network reads, with the others fixed."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swajax.data.encoding import Column
from swajax.model.fitted import Model, to_probabilities
from swajax.model.graph import make_graph
from swajax.report import fonts
from swajax.report.markup import show

NUM_STEPS = 81  # number of points over the training range
MAX_COLUMNS = 12
MAX_PANELS = 9  # panels in a picture
MAX_CLASSES = 8  # number of distinguishable lines


class Response(NamedTuple):
    """Outputs as one column varies."""

    column: Column
    cells: Float[np.ndarray, " G"]  # in the units of the column; codes of categories
    outputs: Float[np.ndarray, "G C"]  # numbers, or probabilities


def find_responses(model: Model, x: Float[np.ndarray, "N I"]) -> list[Response]:
    """Return the responses to all columns that the network reads, the strongest first.

    Other columns are fixed at their median or most frequent category in the rows `x`.
    Outputs are numbers in the units of the target, the probability of the second of two
    classes, or the probabilities of all classes.
    """
    graph = make_graph(model)
    columns = dict.fromkeys(item.column for item in graph.inputs)
    rows = {c: [item.row for item in graph.inputs if item.column == c] for c in columns}
    typical = np.zeros(x.shape[1])
    for column, inputs in rows.items():
        typical[inputs] = _find_typical(column, x[:, inputs])
    found = []
    for column, indices in rows.items():
        cells, inputs = _vary(column, [i for i in graph.inputs if i.column == column])
        points = np.tile(typical, (len(cells), 1))
        points[:, indices] = inputs
        found.append(Response(column, cells, answer(model, points)))
    return sorted(found, key=lambda r: -np.ptp(r.outputs, axis=0).max())


def answer(model: Model, x: Float[np.ndarray, "N I"]) -> Float[np.ndarray, "N C"]:
    """Return numbers, the probability of the second of two classes, or all of them."""
    outputs = model.outputs(x)
    if not model.scaling.classes:
        return outputs
    probabilities = to_probabilities(outputs)
    return probabilities[:, 1:] if probabilities.shape[1] == 2 else probabilities


def name_output(model: Model) -> str:
    """Return the name of the quantity that `answer` returns."""
    classes = model.scaling.classes
    if not classes:
        return show(model.target, 40)
    return f"probability of {show(classes[1])}" if len(classes) == 2 else "probability"


def draw(path: Path, model: Model, x: Float[np.ndarray, "N I"]) -> bool:
    """Write a PNG of the strongest responses.

    Returns:
      Whether a picture was written; a constant network has no response.
    """
    found = find_responses(model, x)[:MAX_PANELS]
    if found:
        names = fonts.find_names(model)
        fonts.save(path, names, lambda: _make_figure(model, found))
    return bool(found)


def _make_figure(model: Model, found: list[Response]) -> Figure:
    num_columns = min(3, len(found))
    num_rows = math.ceil(len(found) / num_columns)
    size = (3.6 * num_columns, 2.9 * num_rows)
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    grid = figure.subplots(num_rows, num_columns, sharey=True, squeeze=False)
    for axes, response in zip(grid.flat, found, strict=False):
        _draw_one(axes, response)
    for axes in grid.flat[len(found) :]:
        axes.axis("off")
    for axes in grid[:, 0]:
        axes.set_ylabel(name_output(model), parse_math=False)
    classes = model.scaling.classes[:MAX_CLASSES]
    if len(classes) > 2:
        legend = figure.legend(
            grid[0, 0].lines, ["x"] * len(classes), loc="outside lower center", ncol=4
        )
        for text, name in zip(legend.get_texts(), classes, strict=True):
            text.set(parse_math=False, text=show(name))
    return figure


def _find_typical(
    column: Column, inputs: Float[np.ndarray, "N K"]
) -> Float[np.ndarray, " K"]:
    if column.kind == "numeric":
        return np.median(inputs, axis=0)
    kinds, counts = np.unique(inputs, axis=0, return_counts=True)
    return kinds[counts.argmax()]


def _vary(column: Column, items: list) -> tuple[np.ndarray, np.ndarray]:
    """Return cells over the range of a column, and their inputs."""
    if column.kind == "numeric":
        scaled = np.linspace(-1.0, 1.0, NUM_STEPS)
        return (scaled - column.offset) / column.scale, scaled[:, None]
    values = np.array([item.values for item in items])
    return np.arange(len(column.categories), dtype=float), values.T


def _draw_one(axes: Axes, response: Response) -> None:
    outputs = response.outputs[:, :MAX_CLASSES]
    is_category = response.column.kind == "category"
    axes.plot(response.cells, outputs, "o" if is_category else "-")
    axes.set_xlabel(show(response.column.name), parse_math=False)
    axes.grid(alpha=0.3)
    if is_category:
        names = [show(name, 12) for name in response.column.categories]
        axes.set_xlim(-0.5, len(names) - 0.5)
        style = {"rotation": 45, "ha": "right", "parse_math": False}
        axes.set_xticks(range(len(names)), names, **style)
