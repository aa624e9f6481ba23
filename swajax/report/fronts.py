"""Pictures of a front: error against size."""

import functools
from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swajax.model.evaluation import FrontTable
from swajax.report import fonts
from swajax.report.markup import show
from swajax.report.results_file import name_part

ENDS = ("low", "high")
LINE_STYLES = ("--", ":", "-.")


def draw(
    path: Path,
    table: FrontTable,
    *,
    target: str,
    title: str,
    others: Mapping[str, float] | None = None,
) -> None:
    """Write a PNG of validation and test error against size, with the pick marked.

    Args:
      path: the file.
      table: sizes and errors.
      target: name of the target.
      title: title of the figure.
      others: test errors of other models, by name, drawn as horizontal lines.
    """
    figure_fn = functools.partial(_make_figure, table, target, title, others or {})
    fonts.save(path, (target, title), figure_fn)


def _make_figure(
    table: FrontTable, target: str, title: str, others: Mapping[str, float]
) -> Figure:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for part, marker in (("valid", "o-"), ("test", "s--")):
        _draw_part(axes, table, part, marker)
    chosen = table.rows[table.pick]
    axes.plot(
        chosen["num_weights"],
        chosen[f"{table.measures[0]}_valid"],
        "ko",
        ms=14,
        mfc="none",
        label=f"picked: {chosen['num_weights']} weights",
    )
    for (label, error), style in zip(others.items(), LINE_STYLES, strict=False):
        axes.axhline(error, color="0.4", ls=style, lw=1, label=label)
    name = {"rmse": "RMSE of {}", "log_loss": "log loss of {}"}[table.measures[0]]
    # Names of columns may contain dollar signs.
    axes.set_ylabel(name.format(show(target, 60)), parse_math=False)
    axes.set_xlabel("weights and biases")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, parse_math=False)
    axes.legend()
    return figure


def _draw_part(axes: Axes, table: FrontTable, part: str, marker: str) -> None:
    key = f"{table.measures[0]}_{part}"
    if key in table.rows[0]:
        sizes = [row["num_weights"] for row in table.rows]
        if part == "valid":
            _draw_interval(axes, table, sizes)
        errors = [row[key] for row in table.rows]
        axes.plot(
            sizes, errors, marker, ms=4, label=name_part(part, table.is_cross_validated)
        )
        if min(errors) > 0 and max(errors) > 30 * min(errors):
            axes.set_yscale("log")


def _draw_interval(axes: Axes, table: FrontTable, sizes: list[int]) -> None:
    first = table.measures[0]
    if f"{first}_low" in table.rows[0]:
        low, high = ([row[f"{first}_{end}"] for row in table.rows] for end in ENDS)
        axes.fill_between(sizes, low, high, alpha=0.15, lw=0, label="90 % interval")
