"""Small charts as SVG, coloured by the style sheet of the page."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import LogLocator, MaxNLocator

from swajax.report.markup import Markup, show, tag

WIDTH, HEIGHT = 400.0, 270.0  # px
LEFT, RIGHT, TOP, BOTTOM = 64.0, 14.0, 12.0, 46.0


class Axis(NamedTuple):
    """A range from `low` to `high` with its ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def share(self, values: np.ndarray) -> np.ndarray:
        """Return the positions of values, 0 at `low` and 1 at `high`."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, values = np.log(low), np.log(high), np.log(values)
        return (np.asarray(values) - low) / (high - low)


class Plot(NamedTuple):
    """The two axes of a chart."""

    x: Axis
    y: Axis

    def to_points(self, xs: np.ndarray, ys: np.ndarray) -> Float[np.ndarray, "N 2"]:
        """Return points in px, from the upper left corner of the chart."""
        right = LEFT + self.x.share(xs) * (WIDTH - LEFT - RIGHT)
        down = TOP + (1 - self.y.share(ys)) * (HEIGHT - TOP - BOTTOM)
        return np.stack([right, down], axis=1)


def make_axis(
    values: np.ndarray, *, is_log: bool = False, is_integer: bool = False
) -> Axis:
    """Return an axis that contains all values, with a margin.

    >>> make_axis(np.array([0.0, 10.0])).ticks
    (0.0, 2.5, 5.0, 7.5, 10.0)
    """
    low, high = float(np.min(values)), float(np.max(values))
    if is_log:
        margin = max((high / low) ** 0.06, 1.05)
        low, high = low / margin, high * margin
        # Fewer than two decades need ticks between the powers of ten.
        subs = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
        locator = LogLocator(numticks=5, subs=subs)
    else:
        margin = 0.06 * (high - low) or 0.5 * abs(low) or 0.5
        low, high = low - margin, high + margin
        locator = MaxNLocator(5, integer=is_integer, steps=(1, 2, 2.5, 5, 10))
    ticks = locator.tick_values(low, high)
    inside = tuple(float(tick) for tick in ticks if low <= tick <= high)
    return Axis(low, high, inside, is_log)


def format_ticks(ticks: Sequence[float]) -> tuple[str, list[str]]:
    """Return the suffix of an axis label, and the numbers at the ticks.

    Ticks that do not differ in 6 digits are shown as differences from a rounded number,
    which the suffix states.

    >>> format_ticks([0.0, 0.5])
    ('', ['0', '0.5'])
    >>> format_ticks([101_325_000.0, 101_325_000.5])
    (' - 1.01325e+08', ['0', '0.5'])
    """
    for digits in (0, *range(6, 18)):
        offset = f"{ticks[0]:.{digits}g}" if digits else "0"
        texts = [f"{tick - float(offset):.6g}" for tick in ticks]
        if len(set(texts)) == len(texts):
            break
    return f" - {offset}".replace("- -", "+ ") if digits else "", texts


def line(plot: Plot, xs: np.ndarray, ys: np.ndarray, kind: str) -> Markup:
    """Return a line through points; `kind` is its CSS class."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in plot.to_points(xs, ys))
    return tag("polyline", class_=f"line {kind}", points=path)


def dots(plot: Plot, xs: np.ndarray, ys: np.ndarray, kind: str) -> Markup:
    """Return one dot per point, as one element."""
    path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in plot.to_points(xs, ys))
    return tag("path", class_=f"dots {kind}", d=path)


def draw(
    plot: Plot,
    *marks: Markup,
    x_label: str,
    y_label: str,
    description: str,
    x_names: Sequence[str] = (),
) -> Markup:
    """Return a chart of marks.

    Args:
      plot: the axes, by which the marks were placed.
      *marks: results of `line`, `dots` or `tag`.
      x_label: name of the horizontal axis.
      y_label: name of the vertical axis.
      description: text for screen readers.
      x_names: labels of the ticks of the horizontal axis, instead of numbers.
    """
    x_more, numbers = format_ticks(plot.x.ticks)
    y_more, y_names = format_ticks(plot.y.ticks)
    names = x_names or numbers
    x_ticks = plot.to_points(
        np.array(plot.x.ticks), np.full(len(plot.x.ticks), plot.y.low)
    )
    y_ticks = plot.to_points(
        np.full(len(plot.y.ticks), plot.x.low), np.array(plot.y.ticks)
    )
    bottom, right, middle = HEIGHT - BOTTOM, WIDTH - RIGHT, (TOP + HEIGHT - BOTTOM) / 2
    grid = "".join(
        [f"M{x:.1f} {TOP}V{bottom}" for x, _ in x_ticks]
        + [f"M{LEFT} {y:.1f}H{right}" for _, y in y_ticks]
    )
    texts = [
        tag("text", name, x=x, y=bottom + 16, text_anchor="middle")
        for name, (x, _) in zip(names, x_ticks, strict=True)
    ] + [
        tag("text", text, x=LEFT - 6, y=y + 4, text_anchor="end")
        for text, (_, y) in zip(y_names, y_ticks, strict=True)
    ]
    x_position = {"x": (LEFT + right) / 2, "y": HEIGHT - 8}
    turned = {"x": -middle, "y": 13, "transform": "rotate(-90)"}
    labels = [
        tag(
            "text", x_label + x_more, class_="label", text_anchor="middle", **x_position
        ),
        tag(
            "text",
            show(y_label, 32) + y_more,
            class_="label",
            text_anchor="middle",
            **turned,
        ),
    ]
    return tag(
        "svg",
        tag("path", class_="grid", d=grid),
        *texts,
        *labels,
        *marks,
        class_="chart",
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
        role="img",
        aria_label=description,
    )
