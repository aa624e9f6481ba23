"""Predictions for held-out rows, plotted against the true values."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from swajax.data.problem import Problem
from swajax.model.fitted import Model, to_probabilities
from swajax.report import fonts
from swajax.report.markup import show

MAX_POINTS = 1000  # points in a picture
MAX_CLASSES = 30  # classes in a legible confusion matrix


def predict_numbers(model: Model, part: Problem) -> Float[np.ndarray, "2 N"]:
    """Return true and predicted numbers, in the units of the target."""
    truth = part.y[:, 0].astype(float) * model.scaling.target_scale
    return np.stack([truth + model.scaling.target_offset, model.outputs(part.x)[:, 0]])


def count_classes(model: Model, part: Problem) -> Int[np.ndarray, "C C"]:
    """Return the confusion matrix: row counts by true and predicted class."""
    num = len(model.scaling.classes)
    truth = part.y.argmax(axis=1) if num > 2 else part.y[:, 0].round().astype(int)
    predicted = to_probabilities(model.outputs(part.x)).argmax(axis=1)
    return np.bincount(truth * num + predicted, minlength=num**2).reshape(num, num)


def draw(path: Path, model: Model, part: Problem, *, name: str) -> None:
    """Write a PNG: a scatter plot, or a confusion matrix.

    Args:
      path: the file.
      model: the network.
      part: encoded rows with their targets.
      name: "test" or "validation", for the title.
    """
    names = fonts.find_names(model)
    fonts.save(path, names, lambda: _make_figure(model, part, name))


def _make_figure(model: Model, part: Problem, name: str) -> Figure:
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    if model.scaling.classes:
        _draw_matrix(figure, model, part)
    else:
        _draw_points(figure, model, part)
    title = f"{len(part.y)} {name} rows, {model.num_weights} weights"
    figure.axes[0].set_title(title)
    return figure


def _draw_points(figure: Figure, model: Model, part: Problem) -> None:
    axes = figure.subplots()
    truth, predicted = predict_numbers(model, part)[:, :MAX_POINTS]
    axes.axline((truth[0], truth[0]), slope=1, color="gray", lw=1)
    axes.plot(truth, predicted, "o", ms=4, alpha=0.5, mew=0)
    target = show(model.target, 40)
    axes.set_xlabel(f"true {target}", parse_math=False)
    axes.set_ylabel(f"predicted {target}", parse_math=False)


def _draw_matrix(figure: Figure, model: Model, part: Problem) -> None:
    axes = figure.subplots()
    counts = count_classes(model, part)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(counts) <= MAX_CLASSES:
        names = [show(name, 16) for name in model.scaling.classes]
        ticks = range(len(names))
        axes.set_xticks(ticks, names, rotation=45, ha="right", parse_math=False)
        axes.set_yticks(ticks, names, parse_math=False)
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            size = 10 if len(names) <= 12 else 6
            axes.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                color=color,
                fontsize=size,
            )
    axes.set_xlabel("predicted")
    axes.set_ylabel(f"true {show(model.target, 40)}", parse_math=False, labelpad=8)
