"""What the figures share: results, grids of surfaces, small PNG files, numbers."""

import argparse
import dataclasses
import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito's blue and vermilion, told apart by colour-blind readers as well.
BLUE, RED = "#0072B2", "#D55E00"
NAMES = {"sigmoid": "sigmoid", "leaky_relu": "leaky ReLU", "linear": "linear"}
SHOWN_WEIGHT = 1 / 7000  # sparsity weight of figures 3 and 5 and of tables 2 and 3
ROOT = Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Panel:
    """One surface, and the numbers that are told of it."""

    name: str
    title: str
    color: str
    surface: np.ndarray  # [K, K], rows: the first input
    limits: tuple[float, float]
    numbers: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Row:
    """Panels side by side, under one label."""

    label: str
    axis: list[float]
    panels: list[Panel]


def run_script(draw_fn: Callable[[Path, Path], None]) -> None:
    """`draw_fn(runs, out)` for the folders of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "reproduction")
    parser.add_argument("--out", type=Path, default=ROOT / "figures" / "out")
    folders = parser.parse_args()
    folders.out.mkdir(parents=True, exist_ok=True)
    draw_fn(folders.runs, folders.out)


def load(runs: Path, name: str) -> dict[str, Any] | None:
    """The results of one experiment, or None, and a line on what is missing."""
    path = runs / f"{name}.json"
    if not path.is_file():
        sys.stderr.write(f"{path} is missing: left out\n")
        return None
    return json.loads(path.read_bytes())


def draw_grid(
    path: Path,
    rows: list[Row],
    *,
    title: str,
    heads: list[str] | None = None,
    pair: bool = False,
) -> None:
    """Surfaces as a grid: the PNG, the panels' numbers and the surfaces as CSV.

    Args:
      path: of the PNG; the CSV files lie beside it.
      rows: of equally many panels; without any nothing is drawn.
      title: of the figure.
      heads: above the columns, or above the pairs of columns.
      pair: each two panels stand closer together.
    """
    if not rows:
        sys.stderr.write(f"{path.name} is not drawn: it has no data\n")
        return
    num = len(rows[0].panels)
    ratios = [1.0] * num if not pair else [1.0, 1.0, 0.22] * (num // 2 - 1) + [1.0] * 2
    places = [i for i, ratio in enumerate(ratios) if ratio == 1.0]
    width, height = 1.85 * sum(ratios) + 0.5, 2.15 * len(rows) + 1.15
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(rows),
        len(ratios),
        width_ratios=ratios,
        left=0.5 / width,
        right=1 - 0.12 / width,
        bottom=0.15 / height,
        top=1 - (1.1 if heads else 0.9) / height,
        wspace=0.0,
        hspace=0.16,
    )
    figure.suptitle(title, fontsize=11, y=1 - 0.1 / height, va="top")
    for index, row in enumerate(rows):
        for panel, place in zip(row.panels, places, strict=True):
            axes = figure.add_subplot(grid[index, place], projection="3d")
            _draw_surface(axes, np.asarray(row.axis), panel)
        box = grid[index, 0].get_position(figure)
        middle = (box.y0 + box.y1) / 2
        style = {"rotation": 90, "va": "center", "ha": "center", "weight": "bold"}
        figure.text(0.2 / width, middle, row.label, fontsize=10, **style)
    for index, head in enumerate(heads or []):
        first = grid[0, places[2 * index if pair else index]].get_position(figure)
        last = grid[0, places[2 * index + 1 if pair else index]].get_position(figure)
        style = {"ha": "center", "va": "bottom", "weight": "bold"}
        figure.text((first.x0 + last.x1) / 2, first.y1 + 0.28 / height, head, **style)
    save(figure, path)
    _write_numbers(path, rows)


def save(figure: Figure, path: Path) -> None:
    """A PNG of 256 colours, which is a third as large as one of all colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    image = Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def limits(*surfaces: np.ndarray) -> tuple[float, float]:
    """Common limits; a surface that is nearly constant is to look so."""
    low = min(np.min(s) for s in surfaces)
    high = max(np.max(s) for s in surfaces)
    middle = (low + high) / 2
    half = max(high - low, 0.05 * abs(middle), 1e-9) / 2
    return float(middle - 1.05 * half), float(middle + 1.05 * half)


def count(number: int, noun: str) -> str:
    """`1 weight`, `2 weights`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """A share as percent with two digits, without powers of ten."""
    value = 100 * share
    if value >= 10:
        return f"{value:,.0f} %"
    return "< 0.01 %" if value < 0.01 else f"{value:.2g} %"


def _draw_surface(axes: Axes, axis: np.ndarray, panel: Panel) -> None:
    first, second = np.meshgrid(axis, axis, indexing="ij")
    axes.plot_surface(
        first,
        second,
        panel.surface,
        color=panel.color,
        rcount=len(axis),
        ccount=len(axis),
        linewidth=0,
        antialiased=False,
    )
    axes.set_title(panel.title, fontsize=7.5, pad=-4, y=1.0)
    axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zlim=panel.limits)
    axes.zaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
    axes.zaxis.set_major_formatter(lambda value, _: _short(value))
    axes.tick_params(labelsize=6, pad=-3)
    axes.set_xlabel("$x_1$", fontsize=7, labelpad=-10)
    axes.set_ylabel("$x_2$", fontsize=7, labelpad=-10)
    axes.view_init(elev=25, azim=-55)
    axes.set_box_aspect(None, zoom=0.95)


def _short(value: float) -> str:
    """12000 as 12k: long numbers would run into the next panel."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}" if not math.isclose(value, 0, abs_tol=1e-12) else "0"


def _write_numbers(path: Path, rows: list[Row]) -> None:
    numbers = [
        {"panel": panel.name} | panel.numbers for row in rows for panel in row.panels
    ]
    frame = pd.DataFrame(numbers)
    frame.to_csv(path.with_suffix(".csv"), index=False, float_format="%.5g")
    first, second = np.meshgrid(rows[0].axis, rows[0].axis, indexing="ij")
    columns = {"x1": first.ravel(), "x2": second.ravel()} | {
        panel.name: np.ravel(panel.surface) for row in rows for panel in row.panels
    }
    surfaces = path.with_name(f"{path.stem}_surfaces.csv")
    pd.DataFrame(columns).to_csv(surfaces, index=False, float_format="%.4g")
