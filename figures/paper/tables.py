"""Tables 1 to 3: errors of autoencoders, and networks found for two teachers."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from figures.common import tables
from figures.paper import panels
from figures.paper.panels import NAMES

AUTOENCODERS = {
    "compact_sigmoid": "compact",
    "compact_leaky_relu": "compact",
    "compact_linear": "compact",
    "paper_sigmoid": "paper",
    "compact-mean_sigmoid": "compact, mean loss",
}
ACTIVATIONS = ("sigmoid", "leaky_relu", "linear")
TEACHERS = {2: ("deep", 3, 35), 3: ("shallow", 2, 14)}


def write(runs: Mapping[str, Any], out: Path) -> None:
    """Write table1.md to table3.md, and the numbers of each as CSV, into a folder.

    Args:
      runs: experiments by name.
      out: folder.
    """
    write_fidelity(runs, out)
    for number, teacher in TEACHERS.items():
        write_recovery(runs, out, number, *teacher)


def write_fidelity(runs: Mapping[str, Any], out: Path) -> None:
    """Write table 1: errors of autoencoders on unseen networks."""
    found = {name: runs.get(f"validation_{name}") for name in AUTOENCODERS}
    found = {name: one for name, one in found.items() if one is not None}
    if not found:
        sys.stderr.write("table1.md is not written: it has no data\n")
        return
    lines = [
        {
            "autoencoder": AUTOENCODERS[name],
            "activation": NAMES[one["settings"]["autoencoder"]["activation"]],
            "MPE, median (%)": f"{one['mpe_percent']:.3g}",
            "MPE, mean (%)": f"{one['mpe_percent_mean']:.3g}",
            "explained variance, median": f"{one['explained_variance']:.4f}",
            "lower quartile": f"{one['explained_variance_q25']:.3f}",
            "Spearman": f"{one['spearman']:.3f}",
            "recall@1": f"{one['recall_at_1']:.3f}",
        }
        for name, one in found.items()
    ]
    settings = next(iter(found.values()))["settings"]
    _write(
        out / "table1.md",
        "Autoencoders on unseen networks",
        lines,
        f"{settings['num_networks']:,} fresh random networks, each compared with the "
        "best of its decoded forms on a grid of 1,000 points. MPE: median over the "
        "points of the error in percent of the output; median and mean are over the "
        "networks. Explained variance: 1 - MSE/variance. Spearman correlation of "
        "distances between embeddings and between functions, and how often a copy "
        "with permuted neurons is nearest to its original, both among "
        f"{settings['num_geometry']:,} networks.",
    )
    frame = pd.DataFrame({"autoencoder": name} | one for name, one in found.items())
    frame = frame.drop(columns=["settings", "seconds"])
    frame.to_csv(out / "table1.csv", index=False, float_format="%.5g")


def write_recovery(
    runs: Mapping[str, Any],
    out: Path,
    number: int,
    teacher: str,
    depth: int,
    num_weights: int,
) -> None:
    """Write table 2 or 3: errors and weights of the networks of each decoder."""
    frame = _load_searches(runs, teacher)
    if frame.empty:
        sys.stderr.write(f"table{number}.md is not written: it has no data\n")
        return
    frame.to_csv(out / f"table{number}.csv", index=False, float_format="%.5g")
    shown = frame[np.isclose(frame["sparsity_weight"], panels.SHOWN_WEIGHT)]
    groups = shown.groupby(["activation", "depth"], sort=False)
    lines = [
        {
            "activation": NAMES[activation],
            "decoder": f"{depth_found}",
            "MSE/variance (%)": _spread(100 * group["mse_ratio"], "{:.3g}"),
            "MPE (%)": _spread(group["mpe_percent"], "{:.3g}"),
            "weights": _spread(group["num_weights"], "{:.0f}"),
            "weights, dead ones included": _spread(group["num_weights_raw"], "{:.0f}"),
        }
        for (activation, depth_found), group in groups
    ]
    _write(
        out / f"table{number}.md",
        f"Networks found from data of a teacher with {depth} hidden layers and "
        f"{num_weights} non-zero weights",
        lines,
        f"Median (least to greatest) of {shown['seed'].nunique()} seeds, of the points "
        "and of the starts, with the same teacher for each activation. Errors are "
        "those at test points without noise; sparsity weight 1/7000. Decoder: hidden "
        f"layers of the network found. table{number}.csv has all sparsity weights.",
    )


def _load_searches(runs: Mapping[str, Any], teacher: str) -> pd.DataFrame:
    """Return one row per network found."""
    lines: list[dict[str, Any]] = []
    for activation in ACTIVATIONS:
        start = f"search_{teacher}_{activation}_"
        for results in (runs[name] for name in runs if name.startswith(start)):
            head = {"activation": activation, "seed": results["settings"]["seed"]}
            lines += [
                head | {key: value for key, value in one.items() if key != "surface"}
                for one in results["networks"]
            ]
    return pd.DataFrame(lines)


def _spread(values: pd.Series, form: str) -> str:
    low, middle, high = (
        form.format(x) for x in (values.min(), values.median(), values.max())
    )
    return f"{middle} ({low} to {high})"


def _write(path: Path, title: str, lines: list[dict[str, str]], note: str) -> None:
    """Write a table in Markdown with right-aligned numbers."""
    heads = list(lines[0])
    is_text = {"autoencoder", "activation"}
    rules = [":--" if head in is_text else "--:" for head in heads]
    rows = [[line[head] for head in heads] for line in lines]
    table = tables.format_rows(heads, rows, alignment=rules)
    tables.write(path, f"**{title}**\n\n{table}\n\n{note}")
