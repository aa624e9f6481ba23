"""Figures 2 and 6: unseen networks beside their decoded forms."""

from pathlib import Path
from typing import Any

import numpy as np
import panels
from panels import BLUE, NAMES, RED, Panel, Row


def draw(runs: Path, path: Path, experiments: list[str], *, trained: str) -> None:
    """One row for each autoencoder that there is."""
    found = [panels.load(runs, f"reconstruction_{name}") for name in experiments]
    found = [results for results in found if results is not None]
    rows = [row for results in found for row in _make_rows(results)]
    settings = found[0]["settings"] if found else {"num_networks": 0, "quantiles": []}
    title = (
        f"Unseen networks (blue) and the best of their decoded forms (red), {trained}\n"
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
    return [
        Row(f"{NAMES[activation]}\n{kind}", results["axis"], list(row))
        for kind, row in zip(
            ("network", "decoded"), zip(*pairs, strict=True), strict=True
        )
    ]


def _make_pair(pair: dict[str, Any], activation: str) -> list[Panel]:
    before, after = pair["input"], pair["decoded"]
    surfaces = [np.asarray(one["surface"]) for one in (before, after)]
    name = f"{activation} {100 * pair['quantile']:.0f} %"
    sizes = [
        f"{panels.count(one['depth'], 'hidden layer')}, "
        f"{panels.count(one['num_weights'], 'weight')}"
        for one in (before, after)
    ]
    error, mpe = (
        pair["explained_variance"],
        panels.percent(pair["mpe_percent"] / 100),
    )
    titles = (sizes[0], f"{sizes[1]}\nEV {error:.3g}, MPE {mpe}")
    errors = {k: pair[k] for k in ("quantile", "explained_variance", "mpe_percent")}
    return [
        Panel(
            f"{name} {kind}",
            title,
            color,
            surface,
            panels.limits(*surfaces),
            {"activation": activation, "kind": kind}
            | errors
            | {key: value for key, value in one.items() if key != "surface"},
        )
        for kind, title, color, surface, one in zip(
            ("network", "decoded"),
            titles,
            (BLUE, RED),
            surfaces,
            (before, after),
            strict=True,
        )
    ]
