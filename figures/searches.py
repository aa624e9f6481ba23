"""Figures 3 to 5: a teacher beside the networks that were found from its data."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import panels
from panels import BLUE, NAMES, RED, Panel, Row

ACTIVATIONS = ("sigmoid", "leaky_relu", "linear")
NOTE = (
    "Outputs over $x_1$ and $x_2$ at $x_3 = 0.5$; error: MSE at test points as a share "
    "of the variance"
)


def load_rows(
    runs: Path,
    teacher: str,
    *,
    is_shown: Callable[[dict[str, Any]], bool],
    describe: Callable[[dict[str, Any]], str],
) -> list[Row]:
    """A row for each activation: the teacher and the networks that are shown."""
    found = [panels.load(runs, f"search_{teacher}_{a}_0") for a in ACTIVATIONS]
    return [_make_row(one, is_shown, describe) for one in found if one is not None]


def is_shown_weight(network: dict[str, Any]) -> bool:
    """Whether it was searched with the sparsity weight of figures 3 and 5."""
    return math.isclose(network["sparsity_weight"], panels.SHOWN_WEIGHT)


def _make_row(
    results: dict[str, Any],
    is_shown: Callable[[dict[str, Any]], bool],
    describe: Callable[[dict[str, Any]], str],
) -> Row:
    activation, teacher = results["activation"], results["teacher"]
    shown = [one for one in results["networks"] if is_shown(one)]
    limits = panels.limits(*(one["surface"] for one in (teacher, *shown)))
    head = {"activation": activation}

    def make_panel(one: dict[str, Any]) -> Panel:
        weight = f"{7000 * one['sparsity_weight']:.3g}/7000"
        name = f"{activation} depth {one['depth']} sparsity weight {weight}"
        size = panels.count(one["num_weights"], "weight")
        title = f"{describe(one)}\n{size}, error {panels.percent(one['mse_ratio'])}"
        return Panel(name, title, RED, limits, head | one)

    title = (
        f"teacher: {panels.count(teacher['depth'], 'hidden layer')}\n"
        f"{panels.count(teacher['num_weights'], 'weight')}"
    )
    first = Panel(f"{activation} teacher", title, BLUE, limits, head | teacher)
    made = [first, *(make_panel(one) for one in shown)]
    return Row(NAMES[activation], results["axis"], made)
