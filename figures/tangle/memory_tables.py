"""Table and pictures of the cases of `memory`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.common import tables
from figures.common.results import RunFile
from figures.tangle.forms import FORMS
from swajax.io import png

Case = dict[str, Any]

FILE_NAME = "memory.jsonl"
RESIDENT_NAME = "resident"

PAPER = {"nb201": 25.28, "darts": 35.54}  # saving in %, arXiv:2312.10440, section 5
LABELS = {
    "ws": "weight sharing",
    "weo": "entangled outputs",
    "sup": "superposition",
    "single": "single path",
}
COLORS = {"ws": "#c2500a", "weo": "#d8a31a", "sup": "#1f6fb4", "single": "0.5"}
MEGABYTE = 1e6


def write(folder: Path) -> str:
    """Write memory.md and pictures into a folder.

    Args:
      folder: folder of memory.jsonl.

    Returns:
      The tables as text.

    Raises:
      ValueError: there are no cases.
    """
    runs = RunFile(folder / FILE_NAME)
    cases = list(runs.values())
    if not cases:
        raise ValueError(f"{folder}: no runs to summarize")
    text = format_spaces([case for case in cases if case["kind"] == "space"])
    text += "\n" + format_library([c for c in cases if c["kind"] == "library"])
    if RESIDENT_NAME in runs:
        text += "\n" + format_resident(runs[RESIDENT_NAME]["forms"])
    tables.write(folder / "memory.md", text)
    for kind, label in (
        ("options", "options per choice"),
        ("batch", "examples per batch"),
    ):
        of_kind = [case for case in cases if case["kind"] == kind]
        if of_kind:
            draw_curves(folder / f"{kind}.png", of_kind, label)
    return text


def format_spaces(cases: Sequence[Case]) -> str:
    """Return bytes of all forms per space, and the ratio to weight sharing."""
    header = ["space", "batch", *(f"{form}, MB" for form in FORMS), "weights ws, MB"]
    header += ["weights sup, MB", "less memory", "paper", "operations ws/sup"]
    header += ["step ws, ms", "step sup, ms", "speed sup/ws", "speed by processor"]
    return tables.format_rows(header, [_format_space(case) for case in cases]) + "\n"


def _format_space(case: Case) -> list[str]:
    costs = case["forms"]
    ws, sup = costs["ws"], costs["sup"]
    paper = PAPER.get(case["name"])
    row = [case["name"], str(case["batch_size"])]
    row += [f"{costs[form]['bytes'] / MEGABYTE:.3g}" for form in FORMS]
    row += [f"{costs[f]['parameter_bytes'] / MEGABYTE:.3g}" for f in ("ws", "sup")]
    row += [f"{saving(case):.1f} %", "" if paper is None else f"{paper} %"]
    row += [f"{ws['flops'] / sup['flops']:.2f}"]
    if "seconds" not in ws:
        return [*row, "", "", "", ""]
    times = ws["seconds"], sup["seconds"]
    row += [
        f"{1e3 * t['median']:.3g} [{1e3 * t['low']:.3g}, {1e3 * t['high']:.3g}]"
        for t in times
    ]
    ratios = [times[0][name] / times[1][name] for name in ("median", "processor")]
    return [*row, *(f"{ratio:.2f}" for ratio in ratios)]


def format_library(cases: Sequence[Case]) -> str:
    """Return the bytes of the supernet and of the largest network per space.

    Operations are relative to those of the largest network.
    """
    rows = []
    for case in cases:
        sup, single = case["forms"]["sup"], case["forms"]["single"]
        row = [f"{cost['bytes'] / MEGABYTE:.3g}" for cost in (sup, single)]
        row += [f"{sup['parameter_bytes'] / MEGABYTE:.3g}"]
        rows.append([case["name"], *row, f"{sup['flops'] / single['flops']:.2f}"])
    header = ["space of the package", "sup, MB", "single, MB", "weights, MB"]
    table = tables.format_rows([*header, "operations sup/single"], rows)
    title = "Supernets of the package, which the table above simplifies:"
    return f"{title}\n\n{table}\n"


def saving(case: Case) -> float:
    """Return the memory that superposition saves, in percent of weight sharing."""
    costs = case["forms"]
    return 100 * (1 - costs["sup"]["bytes"] / costs["ws"]["bytes"])


def format_resident(found: dict[str, Any]) -> str:
    """Return peaks of resident memory and bytes of the compiler."""
    rows = [
        [form, *(f"{sizes[n] / MEGABYTE:.3g}" for n in ("measured", "compiler"))]
        for form, sizes in found.items()
    ]
    header = ["form", "measured, MB", "compiler, MB"]
    return f"Peak of resident memory in a step:\n\n{tables.format_rows(header, rows)}\n"


def draw_curves(path: Path, cases: Sequence[Case], label: str) -> None:
    """Draw bytes and seconds of each stack against options or batch size."""
    names = sorted({case["name"] for case in cases})
    figure = Figure(figsize=(3.6 * len(names), 6), layout="constrained")
    grid = figure.subplots(2, len(names), squeeze=False, sharex="col")
    field = "num_options" if cases[0]["kind"] == "options" else "batch_size"
    for name, (upper, lower) in zip(names, grid.T, strict=True):
        of_name = sorted(
            (c for c in cases if c["name"] == name), key=lambda c: c[field]
        )
        x = np.array([case[field] for case in of_name])
        for form in FORMS:
            found = [case["forms"][form] for case in of_name]
            _draw(upper, x, np.array([f["bytes"] / MEGABYTE for f in found]), form)
            if all("seconds" in f for f in found):
                _draw_times(lower, x, [f["seconds"] for f in found], form)
        fixed = of_name[0]["batch_size" if field == "num_options" else "num_options"]
        what = "batch of" if field == "num_options" else "options:"
        upper.set_title(f"{name}, {what} {fixed}", fontsize=10)
        lower.set_xlabel(label)
        for axes in (upper, lower):
            axes.grid(alpha=0.3)
            if field == "batch_size":
                axes.set(xscale="log", yscale="log")
            else:
                axes.set_ylim(bottom=0)
    grid[0, 0].set_ylabel("memory of a gradient step, MB")
    grid[1, 0].set_ylabel("time of a step, ms\n(median and quartiles)")
    grid[0, 0].legend(fontsize=8)
    png.save(path, figure)


def _draw(axes: Axes, x: np.ndarray, y: np.ndarray, form: str) -> None:
    axes.plot(x, y, marker="o", ms=3, color=COLORS[form], label=LABELS[form])


def _draw_times(
    axes: Axes, x: np.ndarray, times: Sequence[dict[str, float]], form: str
) -> None:
    low, median, high = (
        1e3 * np.array([t[name] for t in times]) for name in ("low", "median", "high")
    )
    _draw(axes, x, median, form)
    axes.fill_between(x, low, high, color=COLORS[form], alpha=0.2)
