"""Figures 2 and 6: unseen networks beside their decoded forms."""

from pathlib import Path
from typing import Any

import panels
from panels import BLUE, NAMES, RED, Panel, Row


def draw(runs: Path, path: Path, experiments: list[str], *, trained: str) -> None:
    """One row for each autoencoder that there is."""
    found = [panels.load(runs, f"reconstruction_{name}") for name in experiments]
    found = [results for results in found if results is not None]
    rows = [row for results in found for row in _make_rows(results)]
    settings = found[0]["settings"] if found else {"num_networks": 0, "quantiles": []}
    title = (
        f"Unseen networks (blue) and the best of their decoded forms (red); {trained}\n"
        "Outputs over $x_1$ and $x_2$ at $x_3 = 0.5$. Columns: the networks at four "
        f"quantiles of explained\nvariance (EV) among {settings['num_networks']:,}, "
        "chosen by rank alone. MPE: median percentage error"
    )
    heads = [f"quantile {100 * q:.0f} %" for q in settings["quantiles"]]
    panels.draw_grid(path, rows, title=title, heads=heads)


def _make_rows(results: dict[str, Any]) -> list[Row]:
    """The networks in one row, their decoded forms below them."""
    activation = results["activation"]
    pairs = [_make_pair(pair, activation) for pair in results["networks"]]
    above, below = zip(*pairs, strict=True)
    label, axis = NAMES[activation], results["axis"]
    return [
        Row(f"{label}\nnetwork", axis, list(above)),
        Row(f"{label}\ndecoded", axis, list(below)),
    ]


def _make_pair(pair: dict[str, Any], activation: str) -> tuple[Panel, Panel]:
    before, after = pair["input"], pair["decoded"]
    limits = panels.limits(before["surface"], after["surface"])
    errors = {k: pair[k] for k in ("quantile", "explained_variance", "mpe_percent")}
    head = {"activation": activation, **errors}
    told = (
        f"EV {pair['explained_variance']:.3g}, "
        f"MPE {panels.percent(pair['mpe_percent'] / 100)}"
    )
    name = f"{activation} {100 * pair['quantile']:.0f} %"
    return (
        Panel(f"{name} network", _size(before), BLUE, limits, head | before),
        Panel(f"{name} decoded", f"{_size(after)}\n{told}", RED, limits, head | after),
    )


def _size(network: dict[str, Any]) -> str:
    depth = panels.count(network["depth"], "hidden layer")
    return f"{depth}, {panels.count(network['num_weights'], 'weight')}"
