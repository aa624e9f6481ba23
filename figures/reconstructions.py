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
    rows = [
        Row(
            NAMES[results["activation"]],
            results["axis"],
            [
                panel
                for pair in results["networks"]
                for panel in _make_pair(pair, results["activation"])
            ],
        )
        for results in found
    ]
    if not rows:
        panels.draw_grid(path, [], title="")
        return
    settings = found[0]["settings"]
    title = (
        f"Unseen networks (blue) and the best of their decoded forms (red), {trained}\n"
        f"outputs over $x_1$ and $x_2$ at $x_3 = 0.5$; in each row the networks at four "
        f"quantiles of explained variance among {settings['num_networks']:,}, chosen by "
        "rank alone"
    )
    heads = [f"quantile {100 * q:.0f} %" for q in settings["quantiles"]]
    panels.draw_grid(path, rows, title=title, heads=heads, pair=True)


def _make_pair(pair: dict[str, Any], activation: str) -> list[Panel]:
    before, after = pair["input"], pair["decoded"]
    surfaces = [np.asarray(one["surface"]) for one in (before, after)]
    name = f"{activation} {100 * pair['quantile']:.0f} %"
    sizes = [
        f"{panels.count(one['depth'], 'hidden layer')}, "
        f"{panels.count(one['num_weights'], 'weight')}"
        for one in (before, after)
    ]
    error = pair["explained_variance"]
    titles = (f"network\n{sizes[0]}", f"decoded: explains {error:.3g}\n{sizes[1]}")
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
            ("input", "decoded"),
            titles,
            (BLUE, RED),
            surfaces,
            (before, after),
            strict=True,
        )
    ]
