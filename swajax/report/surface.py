"""Surface of the output over the two columns that a network reads."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from swajax.model.fitted import Model
from swajax.model.graph import Graph, make_graph
from swajax.report import fonts
from swajax.report.markup import show
from swajax.report.responses import answer, name_output

NUM_STEPS = 50


def draw(path: Path, model: Model) -> bool:
    """Write a PNG of the surface.

    Returns:
      Whether a picture was written; the network must read two numbers and have one
      output.
    """
    graph = make_graph(model)
    is_plane = len(graph.inputs) == len(graph.numbers) == 2
    if not is_plane or len(model.scaling.classes) > 2:
        return False
    fonts.save(path, fonts.find_names(model), lambda: _make_figure(model, graph))
    return True


def _make_figure(model: Model, graph: Graph) -> Figure:
    scaled = np.linspace(-1.0, 1.0, NUM_STEPS)
    grid = np.stack(np.meshgrid(scaled, scaled), axis=-1)
    x = np.zeros((NUM_STEPS**2, model.network.first.shape[0]))
    x[:, [item.row for item in graph.inputs]] = grid.reshape(-1, 2)
    heights = answer(model, x)[:, 0].reshape(NUM_STEPS, NUM_STEPS)
    first, second = (
        (grid[..., index] - item.column.offset) / item.column.scale
        for index, item in enumerate(graph.inputs)
    )
    figure = Figure(figsize=(6.5, 5.5))
    axes = figure.add_axes((0, 0, 0.95, 0.95), projection="3d")
    axes.plot_surface(first, second, heights, cmap="viridis", lw=0, antialiased=False)
    names = [show(column.name) for column in graph.numbers]
    axes.set_xlabel(names[0], parse_math=False, labelpad=8)
    axes.set_ylabel(names[1], parse_math=False, labelpad=8)
    axes.set_zlabel(name_output(model), parse_math=False, labelpad=10)
    axes.set_box_aspect(None, zoom=0.95)
    axes.set_title(f"{model.num_weights} weights")
    return figure
