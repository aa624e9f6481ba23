"""Pictures of the quality study: errors, ratios and curves."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.quality import comparison
from figures.quality.comparison import Entry, Table
from figures.quality.scores import SIZES, Run, hypervolume, make_curve_steps
from swajax.io import png

MAX_DECADES = 3.0  # end of the colour scale, in decades above the smallest error
NUM_TIMES = 60  # number of points of a curve
AXES = {"seconds": "seconds of work", "network_steps": "network steps"}


def write(folder: Path, table: Table, found: Sequence[Run]) -> None:
    """Write all pictures that have runs."""
    full = {entry: values for entry, values in table.items() if entry.level == "full"}
    png.save(folder / "errors.png", draw_errors(comparison.share_seeds(full)))
    for name in ("direct", "default"):
        if Entry(name, "full") in full and len(full) > 1:
            png.save(folder / f"against_{name}.png", draw_ratios(full, name))
    if any(run.get("curve") for run in found):
        png.save(folder / "curves.png", draw_curves(found))


def draw_errors(table: Table) -> Figure:
    """Draw the decades between each error and the smallest of its task, by size."""
    tasks = sorted({case[:2] for results in table.values() for case in results})
    entries = list(table)
    figure = Figure(
        figsize=(2 + 4 * max(0.32 * len(entries), 2), 2 + 0.24 * len(tasks)),
        layout="constrained",
    )
    every = figure.subplots(1, len(SIZES), sharey=True)
    for axes, size in zip(every, SIZES, strict=True):
        values = comparison.error_values(table, size)
        grid = np.full((len(tasks), len(entries)), np.nan)
        for (row, task), (column, entry) in _pairs(tasks, entries):
            results = [v for case, v in values[entry].items() if case[:2] == task]
            if results:
                grid[row, column] = np.log10(np.median(results))
        grid -= np.nanmin(grid, axis=1, keepdims=True)
        image = axes.imshow(
            grid, cmap="viridis_r", vmin=0, vmax=MAX_DECADES, aspect="auto"
        )
        axes.set_title(f"at most {size} weights")
        axes.set_xticks(range(len(entries)), map(str, entries), rotation=90)
    every[0].set_yticks(range(len(tasks)), [task for _, task in tasks])
    figure.colorbar(image, ax=every, label="decades above the least error", shrink=0.6)
    return figure


def _pairs(tasks: Sequence, entries: Sequence) -> list:
    return [(a, b) for a in enumerate(tasks) for b in enumerate(entries)]


def draw_ratios(table: Table, name: str) -> Figure:
    """Draw errors and hypervolumes as multiples of a method, with intervals."""
    reference = Entry(name, "full")
    entries = [entry for entry in table if entry != reference]
    measures = {
        f"error at {size}": (comparison.error_values(table, size), False)
        for size in SIZES
    } | {"hypervolume": (comparison.hypervolume_values(table), True)}
    figure = Figure(figsize=(13, 1.5 + 0.3 * len(entries)), layout="constrained")
    every = figure.subplots(1, len(measures), sharey=True)
    for axes, (title, (values, is_more_better)) in zip(
        every, measures.items(), strict=True
    ):
        for row, entry in enumerate(entries):
            ratio = comparison.compare(
                values[entry], values[reference], is_more_better=is_more_better
            )
            if ratio is not None:
                axes.plot([ratio.low, ratio.high], [row, row], "C0-")
                axes.plot(ratio.mean, row, "C0o")
        axes.axvline(1.0, color="0.5", lw=1)
        axes.set_xscale("log")
        png.thin_log_ticks(axes.xaxis)
        axes.set(
            title=f"{title}\n{'more' if is_more_better else 'less'} is better",
        )
        axes.grid(alpha=0.3)
    every[0].set_yticks(range(len(entries)), map(str, entries))
    every[0].invert_yaxis()
    figure.supxlabel(f"multiple of {name}")
    return figure


def draw_curves(found: Sequence[Run]) -> Figure:
    """Draw the mean hypervolume by validation against seconds and network steps."""
    groups = sorted({run["group"] for run in found if run.get("curve")})
    figure = Figure(figsize=(5 * len(groups), 8), layout="constrained")
    every = figure.subplots(len(AXES), len(groups), squeeze=False)
    for axes_of_groups, (key, label) in zip(every, AXES.items(), strict=True):
        for axes, group in zip(axes_of_groups, groups, strict=True):
            group_runs = [
                run for run in found if run["group"] == group and run.get("curve")
            ]
            names = sorted({run["method"] for run in group_runs})
            shared = _find_shared(group_runs)
            for index, name in enumerate(names):
                draw_curve(axes, [r for r in shared if r["method"] == name], key, index)
            axes.set(title=group, xlabel=label, ylabel="hypervolume by validation")
            axes.set_xscale("log")
            png.thin_log_ticks(axes.xaxis)
            axes.grid(alpha=0.3)
    every[0, -1].legend(fontsize="small")
    return figure


def _find_shared(found: Sequence[Run]) -> list[Run]:
    """Keep the runs of tasks and seeds that all methods have run."""
    cases = defaultdict(set)
    for run in found:
        cases[run["method"]].add((run["task"], run["seed"]))
    shared = set.intersection(*cases.values())
    return [run for run in found if (run["task"], run["seed"]) in shared]


def draw_curve(axes: Axes, runs: Sequence[Run], key: str, index: int) -> None:
    """Draw the best hypervolume so far of a method, mean over its runs.

    Against network steps, only the descent is drawn, because Levenberg-Marquardt steps
    differ from gradient steps.
    """
    lines = []
    for run in runs:
        points = [
            (p[key], hypervolume(make_curve_steps(p, run["scale"])))
            for p in run["curve"]
            if key == "seconds" or p["stage"] == "explore"
        ]
        if points:
            x, y = np.array(points).T
            lines.append((x, np.maximum.accumulate(y)))
    if not lines:
        return
    low = max(float(x[0]) for x, _ in lines)
    high = max(low, np.median([float(x[-1]) for x, _ in lines]))
    grid = np.geomspace(max(low, 1e-3), max(high, 1e-3), NUM_TIMES)
    means = np.mean(
        [y[np.searchsorted(x, grid, side="right").clip(1) - 1] for x, y in lines],
        axis=0,
    )
    color = mpl.colormaps["tab20"](index % 20)
    axes.plot(grid, means, color=color, label=runs[0]["method"])
