"""Grids of surfaces as PNG files, with their numbers as CSV files."""

import dataclasses
import io
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colors, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

# Blue and vermilion of Okabe and Ito, distinguishable by colour-blind readers.
BLUE, RED = "#0072B2", "#D55E00"
NAMES = {"sigmoid": "sigmoid", "leaky_relu": "leaky ReLU", "linear": "linear"}
SHOWN_WEIGHT = 1 / 7000  # sparsity weight of figures 3 and 5 and of tables 2 and 3


@dataclasses.dataclass(frozen=True)
class Panel:
    """One surface with its title and numbers."""

    name: str
    title: str
    color: str
    limits: tuple[float, float]
    results: dict[str, Any]
    """numbers, and under "surface" outputs [K, K] whose rows follow the first input"""

    @property
    def surface(self) -> np.ndarray:
        """Return the outputs [K, K]."""
        return np.asarray(self.results["surface"])

    @property
    def numbers(self) -> dict[str, Any]:
        """Return the name of the panel and all results but the surface."""
        rest = {key: item for key, item in self.results.items() if key != "surface"}
        return {"panel": self.name} | rest


@dataclasses.dataclass(frozen=True)
class Row:
    """Panels side by side with one label."""

    label: str
    axis: list[float]
    panels: list[Panel]


def pick_runs(runs: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the runs that exist and report the missing ones on stderr."""
    for name in names:
        if name not in runs:
            sys.stderr.write(f"{name} is missing: left out\n")
    return [runs[name] for name in names if name in runs]


def draw_grid(
    path: Path, rows: list[Row], *, title: str, heads: list[str] | None = None
) -> None:
    """Write a grid of surfaces as PNG, their numbers and the surfaces as CSV.

    Args:
      path: of the PNG; the CSV files lie beside it.
      rows: of equally many panels; if there are none, nothing is written.
      title: of the figure.
      heads: titles of the columns.
    """
    if not rows:
        sys.stderr.write(f"{path.name} is not drawn: it has no data\n")
        return
    num = len(rows[0].panels)
    top = 1.05 if heads else 0.85
    width, height = 2.2 * num + 0.6, 2.15 * len(rows) + top
    figure = Figure(figsize=(width, height))
    grid = figure.add_gridspec(
        len(rows),
        num,
        left=0.4 / width,
        right=1 - 0.3 / width,
        bottom=0.02 / height,
        top=1 - top / height,
        wspace=0.03,
        hspace=0.0,
    )
    figure.suptitle(title, fontsize=10, y=1 - 0.12 / height, va="top")
    bold = {"ha": "center", "fontsize": 10, "weight": "bold"}
    for index, row in enumerate(rows):
        for column, panel in enumerate(row.panels):
            axes = figure.add_subplot(grid[index, column], projection="3d")
            _draw_surface(axes, np.asarray(row.axis), panel)
        box = grid[index, 0].get_position(figure)
        middle = (box.y0 + box.y1) / 2
        style = bold | {"va": "center", "rotation": 90}
        figure.text(0.22 / width, middle, row.label, **style)
    for column, head in enumerate(heads or []):
        box = grid[0, column].get_position(figure)
        figure.text((box.x0 + box.x1) / 2, box.y1 + 0.06 / height, head, **bold)
    save(figure, path)
    _write_numbers(path, rows)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG of 64 colours, a quarter of the size of one with all colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    image = Image.open(buffer).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def limits(*surfaces: np.ndarray | Sequence) -> tuple[float, float]:
    """Return common limits; a nearly constant surface shall look constant."""
    low = min(np.min(s) for s in surfaces)
    high = max(np.max(s) for s in surfaces)
    middle = (low + high) / 2
    half = max(high - low, 0.05 * abs(middle), 1e-9) / 2
    return float(middle - 1.05 * half), float(middle + 1.05 * half)


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 weight`, `2 weights`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """Format a share as percent with two digits and without powers of ten."""
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
        facecolors=_shade(panel),
        rcount=len(axis),
        ccount=len(axis),
        linewidth=0,
        antialiased=False,
        shade=False,
    )
    style = {"ha": "center", "va": "top", "transform": axes.transAxes}
    axes.text2D(0.5, 0.99, panel.title, fontsize=8, **style)
    axes.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], zlim=panel.limits)
    axes.zaxis.set_major_locator(ticker.MaxNLocator(4))
    axes.zaxis.set_major_formatter(lambda value, _: _short(value))
    axes.tick_params(labelsize=7, pad=-3)
    axes.tick_params(axis="z", pad=0)
    axes.set_xlabel("$x_1$", fontsize=8, labelpad=-9)
    axes.set_ylabel("$x_2$", fontsize=8, labelpad=-9)
    axes.view_init(elev=25, azim=-55)
    axes.set_box_aspect((1, 1, 0.75), zoom=0.95)
    axes.patch.set_alpha(0)  # else it hides the tick labels of the panel to its left


def _shade(panel: Panel) -> np.ndarray:
    """Return colours [K, K, 3] of a surface lit from the left."""
    low, high = panel.limits
    height = (panel.surface - low) / (high - low)
    by_first, by_second = np.gradient(height, 2 / (len(height) - 1))
    normal = np.stack([-by_first, -by_second, np.ones_like(height)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = normal @ np.array([-0.5, -0.3, 0.8])
    base = np.array(colors.to_rgb(panel.color))
    mix = np.clip(light, 0, 1)[..., None]
    return (1 - mix) * 0.4 * base + mix * (0.8 * base + 0.2)


def _short(value: float) -> str:
    """Format 12000 as 12k; long numbers would overlap the next panel."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}" if not math.isclose(value, 0, abs_tol=1e-12) else "0"


def _write_numbers(path: Path, rows: list[Row]) -> None:
    frame = pd.DataFrame(panel.numbers for row in rows for panel in row.panels)
    frame.to_csv(path.with_suffix(".csv"), index=False, float_format="%.5g")
    first, second = np.meshgrid(rows[0].axis, rows[0].axis, indexing="ij")
    columns = {"x1": first.ravel(), "x2": second.ravel()} | {
        panel.name: np.ravel(panel.surface) for row in rows for panel in row.panels
    }
    surfaces = path.with_name(f"{path.stem}_surfaces.csv")
    pd.DataFrame(columns).to_csv(surfaces, index=False, float_format="%.4g")
