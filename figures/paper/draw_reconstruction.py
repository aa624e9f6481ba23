"""Figures 2 and 6: unseen networks beside their decoded forms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from figures.paper import panels
from figures.paper.panels import BLUE, NAMES, RED, Panel, Row

FIGURES = {
    2: ("min loss", ("compact_sigmoid", "compact_leaky_relu", "compact_linear")),
    6: ("mean loss", ("compact-mean_sigmoid",)),
}
"""Training loss and autoencoders of each figure."""


def draw(runs: Mapping[str, Any], out: Path) -> None:
    """Write figure2 and figure6 with their numbers into a folder.

    Args:
      runs: experiments by name.
      out: folder.
    """
    for number, (loss, names) in FIGURES.items():
        found = panels.pick_runs(runs, [f"reconstruction_{name}" for name in names])
        draw_one(found, out / f"figure{number}.png", loss)


def draw_one(found: Sequence[dict[str, Any]], path: Path, loss: str) -> None:
    """Write one figure, two rows per autoencoder."""
    rows = [row for results in found for row in _make_rows(results)]
    settings = found[0]["settings"] if found else {"num_networks": 0, "quantiles": []}
    title = (
        "Unseen networks (blue) and the best of their decoded forms (red); training by "
        f"{loss}\n"
        "Outputs over $x_1$ and $x_2$ at $x_3 = 0.5$. Columns: the networks at four "
        f"quantiles of explained\nvariance (EV) among {settings['num_networks']:,}, "
        "chosen by rank alone. MPE: median percentage error"
    )
    heads = [f"quantile {100 * q:.0f} %" for q in settings["quantiles"]]
    panels.draw_grid(path, rows, title=title, heads=heads)


def _make_rows(results: dict[str, Any]) -> list[Row]:
    """Return a row of networks and a row of their decoded forms."""
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
    text = (
        f"EV {pair['explained_variance']:.3g}, "
        f"MPE {panels.percent(pair['mpe_percent'] / 100)}"
    )
    name = f"{activation} {100 * pair['quantile']:.0f} %"
    return (
        Panel(f"{name} network", _size(before), BLUE, limits, head | before),
        Panel(f"{name} decoded", f"{_size(after)}\n{text}", RED, limits, head | after),
    )


def _size(network: dict[str, Any]) -> str:
    depth = panels.count(network["depth"], "hidden layer")
    return f"{depth}, {panels.count(network['num_weights'], 'weight')}"
