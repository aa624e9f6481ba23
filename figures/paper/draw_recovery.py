"""Figures 3 to 5: a teacher beside the networks that are found from its data."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures.paper import panels
from figures.paper.panels import BLUE, NAMES, RED, Panel, Row

ACTIVATIONS = ("sigmoid", "leaky_relu", "linear")
DECODER = 3  # of figure 4
DEEP = "A teacher of 3 hidden layers and 35 weights (blue) and the networks "
SHALLOW = "A teacher of 2 hidden layers and 14 weights (blue) and the networks "
FIGURES = {
    3: ("deep", f"{DEEP}found from its data (red)"),
    4: (
        "shallow",
        f"{SHALLOW}of 3 hidden layers\nfound from its data at three sparsity weights "
        "(red)",
    ),
    5: ("shallow", f"{SHALLOW}found from its data (red)"),
}
"""Teacher and title of each figure."""
NOTE = (
    "Outputs over $x_1$ and $x_2$ at $x_3 = 0.5$; error: MSE at test points as a share "
    "of the variance"
)


def draw(runs: Mapping[str, Any], out: Path) -> None:
    """Write figures 3 to 5 with their numbers into a folder.

    Args:
      runs: experiments by name.
      out: folder.
    """
    for number, (teacher, title) in FIGURES.items():
        names = [f"search_{teacher}_{activation}_0" for activation in ACTIVATIONS]
        found = panels.pick_runs(runs, names)
        rows = [_make_row(one, is_of_decoder=number == 4) for one in found]
        panels.draw_grid(out / f"figure{number}.png", rows, title=f"{title}\n{NOTE}")


def _make_row(results: dict[str, Any], *, is_of_decoder: bool) -> Row:
    """Return the panels of one activation.

    Args:
      results: of one search.
      is_of_decoder: show one decoder at all sparsity weights instead of all decoders
        at one sparsity weight.
    """
    activation, teacher = results["activation"], results["teacher"]
    shown = [one for one in results["networks"] if _is_shown(one, is_of_decoder)]
    limits = panels.limits(*(one["surface"] for one in (teacher, *shown)))
    head = {"activation": activation}

    def make_panel(one: dict[str, Any]) -> Panel:
        weight = f"{7000 * one['sparsity_weight']:.3g}/7000"
        name = f"{activation} depth {one['depth']} sparsity weight {weight}"
        what = panels.count(one["depth"], "hidden layer")
        what = f"sparsity weight {weight}" if is_of_decoder else what
        size = panels.count(one["num_weights"], "weight")
        title = f"{what}\n{size}, error {panels.percent(one['mse_ratio'])}"
        return Panel(name, title, RED, limits, head | one)

    title = (
        f"teacher: {panels.count(teacher['depth'], 'hidden layer')}\n"
        f"{panels.count(teacher['num_weights'], 'weight')}"
    )
    first = Panel(f"{activation} teacher", title, BLUE, limits, head | teacher)
    made = [first, *(make_panel(one) for one in shown)]
    return Row(NAMES[activation], results["axis"], made)


def _is_shown(network: dict[str, Any], is_of_decoder: bool) -> bool:
    if is_of_decoder:
        return network["depth"] == DECODER
    return math.isclose(network["sparsity_weight"], panels.SHOWN_WEIGHT)
