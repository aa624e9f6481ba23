"""Plots of a search from the metrics.jsonl of its run folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swajax.io import png, runlog
from swajax.tangle.choices import Choice
from swajax.tangle.samplers import Sampler

MAX_ROWS = 24
CHOSEN = {"chosen_loss": "loss", "chosen_accuracy": "accuracy"}


def draw_search(folder: Path, choices: Sequence[Choice], sampler: Sampler) -> None:
    """Write curve.png into a run folder, and probabilities.png if vectors were trained.

    Args:
      folder: folder of the run.
      choices: choices of the space.
      sampler: map from vectors to probabilities.
    """
    lines = runlog.read_metrics(folder)
    draw_curve(folder / "curve.png", lines)
    if sampler.is_trained:
        history = [
            {
                n: np.asarray(sampler.mean(jnp.asarray(v)))
                for n, v in line["vectors"].items()
            }
            for line in lines
        ]
        passes = [line["num_passes"] for line in lines]
        draw_probabilities(folder / "probabilities.png", passes, history, choices)


def draw_curve(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Draw the score of the current choice against gradient passes.

    Args:
      path: path of the PNG file.
      lines: lines of the log; accuracies are null in regression.
    """
    names = [n for n in CHOSEN if None not in lines[-1][n]]
    figure = Figure(figsize=(4.5 * len(names), 3.4), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    passes = [line["num_passes"] for line in lines]
    for axes, name in zip(panels, names, strict=True):
        values = np.array([line[name] for line in lines])  # [reports, starts]
        axes.plot(passes, values, color="0.75", linewidth=1)
        axes.plot(passes, values.mean(axis=1), color=png.POSITIVE)
        axes.set(xlabel="gradient passes per start", ylabel=CHOSEN[name])
        axes.grid(alpha=0.3)
    figure.suptitle("current choice, inherited weights, architecture rows")
    _add_legend(panels[0], values.shape[1])
    png.save(path, figure)


def _add_legend(axes: Axes, num_starts: int) -> None:
    mean, start = axes.lines[-1], axes.lines[0]
    if num_starts > 1:
        axes.legend([mean, start], [f"mean of {num_starts}", "one start"], fontsize=8)


def draw_probabilities(
    path: Path,
    passes: Sequence[int],
    history: Sequence[Mapping[str, Float[np.ndarray, "_ _ _"]]],
    choices: Sequence[Choice],
) -> None:
    """Draw the probabilities of each row of each choice, mean over starts.

    Args:
      path: path of the PNG file.
      passes: gradient passes per start, by report.
      history: probabilities [S, R, K] of S starts, by report.
      choices: choices of the space; at most `MAX_ROWS` rows are drawn.
    """
    rows = [(c, row) for c in choices for row in range(c.num_rows)][:MAX_ROWS]
    num_columns = min(4, len(rows))
    num_lines = -(-len(rows) // num_columns)
    figure = Figure(figsize=(3 * num_columns, 2.2 * num_lines), layout="constrained")
    panels = figure.subplots(num_lines, num_columns, sharey=True, squeeze=False).ravel()
    for axes, (choice, row) in zip(panels, rows, strict=False):
        shares = np.stack([report[choice.name][:, row].mean(0) for report in history])
        for option, share in zip(choice.options, shares.T, strict=True):
            axes.plot(passes, share, label=str(option))
        suffix = f" {row + 1}" if choice.num_rows > 1 else ""
        axes.set_title(f"{choice.name}{suffix}", fontsize=9)
        axes.legend(fontsize=7, loc="upper left", ncols=-(-len(choice.options) // 4))
        axes.set_ylim(0, 1)
        axes.tick_params(labelsize=7)
    for axes in panels[len(rows) :]:
        axes.axis("off")
    figure.supxlabel("gradient passes per start", fontsize=9)
    figure.supylabel("probability, mean over starts", fontsize=9)
    png.save(path, figure)
