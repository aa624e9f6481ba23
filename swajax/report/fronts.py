"""A front of networks as people read it: errors in the table's units, and a picture."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swajax.data.splits import Dataset, Part, Scaling
from swajax.data.wording import shown
from swajax.network import apply, count_neurons
from swajax.pareto import Front
from swajax.report import png
from swajax.report.markup import show
from swajax.types import Network

LINE_STYLES = ("--", ":", "-.")
PARTS = {"train": "training", "valid": "validation", "test": "test"}


class FrontTable(NamedTuple):
    """A row a network, smallest first."""

    rows: list[
        dict[str, Any]
    ]  # num_weights, num_neurons, depth, <measure>_<part>, pick
    measures: tuple[str, str]  # names of the two measures, the one to minimise first
    pick: int


def tabulate(
    front: Front, dataset: Dataset, scaling: Scaling, *, activations: tuple[str, ...]
) -> FrontTable:
    """Sizes and errors of all networks: the one look at the test part.

    Measures are the root mean squared error in the units of the target and R2, or the
    log loss in nats and the share of rows whose class is right. Weights of rows count.
    """
    parts = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    measured = {
        name: _measure(front.network, part, scaling, activations)
        for name, part in parts.items()
        if part is not None
    }
    measures = ("log_loss", "accuracy") if scaling.classes else ("rmse", "r2")
    neurons = np.asarray(_count_neurons(front.network))
    rows = [
        {
            "num_weights": int(front.num_weights[index]),
            "num_neurons": int(neurons[index]),
            "depth": int(front.network.depth[index]) if neurons[index] else 0,
            "valid_loss": float(front.valid_loss[index]),
            "valid_gap_error": float(front.gap_error[index]),
            **{
                f"{measure}_{part}": float(values[which][index])
                for part, values in measured.items()
                for which, measure in enumerate(measures)
            },
            "is_picked": index == front.pick,
        }
        for index in range(len(front.num_weights))
    ]
    return FrontTable(rows, measures, front.pick)


def format_table(table: FrontTable, *, target: str, picked: str) -> str:
    """The front as text, the picked network marked; `picked` says why it is."""
    parts = [
        p for p in ("valid", "test") if f"{table.measures[0]}_{p}" in table.rows[0]
    ]
    title = {
        "rmse": f"RMSE in the units of {shown(target)} (R2)",
        "log_loss": f"log loss of {shown(target)} (share of rows that are right)",
    }[table.measures[0]]
    lines = [
        f"{title}; >: picked, {picked}",
        _line(" ", "weights", "neurons", "layers", *parts),
    ]
    for row in table.rows:
        cells = [_errors(row, table.measures, part) for part in parts]
        mark = ">" if row["is_picked"] else " "
        sizes = (row["num_weights"], row["num_neurons"], row["depth"])
        lines.append(_line(mark, *map(str, sizes), *cells))
    return "\n".join(lines)


def draw(
    path: Path,
    table: FrontTable,
    *,
    target: str,
    title: str,
    others: Mapping[str, float] | None = None,
) -> None:
    """A PNG: error against size, validation and test, with the pick.

    Other models, whose sizes are of another order, are lines at their test errors.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for part, marker in (("valid", "o-"), ("test", "s--")):
        _draw_part(axes, table, part, marker)
    chosen = table.rows[table.pick]
    axes.plot(
        chosen["num_weights"],
        chosen[f"{table.measures[0]}_valid"],
        "ko",
        ms=14,
        mfc="none",
        label=f"picked: {chosen['num_weights']} weights",
    )
    for (label, error), style in zip((others or {}).items(), LINE_STYLES, strict=False):
        axes.axhline(error, color="0.4", ls=style, lw=1, label=label)
    name = {"rmse": "RMSE of {}", "log_loss": "log loss of {}"}[table.measures[0]]
    # The name of a column may hold any characters, dollar signs among them.
    axes.set_ylabel(name.format(show(target, 60)), parse_math=False)
    axes.set_xlabel("weights and biases")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, parse_math=False)
    axes.legend()
    png.save(path, figure)


def _draw_part(axes: Axes, table: FrontTable, part: str, marker: str) -> None:
    key = f"{table.measures[0]}_{part}"
    if key in table.rows[0]:
        sizes = [row["num_weights"] for row in table.rows]
        errors = [row[key] for row in table.rows]
        axes.plot(sizes, errors, marker, ms=4, label=PARTS[part])
        if min(errors) > 0 and max(errors) > 30 * min(errors):
            axes.set_yscale("log")


def _line(mark: str, *cells: str) -> str:
    widths = (7, 7, 6, *[19] * (len(cells) - 3))
    return " ".join((mark, *(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))))


def _errors(row: dict[str, Any], measures: tuple[str, str], part: str) -> str:
    first, second = (row[f"{measure}_{part}"] for measure in measures)
    return f"{first:.4g} ({second:.3f})"


def _measure(
    networks: Network, part: Part, scaling: Scaling, activations: tuple[str, ...]
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Both measures of each network on one part."""
    outputs = predict(networks, part.x, activations=activations)
    average = functools.partial(np.average, axis=1, weights=part.weight)
    if not scaling.classes:
        squares = average(np.square(outputs - part.y[None])[..., 0])
        variance = np.average(
            np.square(part.y - np.average(part.y, axis=0, weights=part.weight))[:, 0],
            weights=part.weight,
        )
        r2 = 1 - squares / variance if variance > 0 else np.full(len(squares), np.nan)
        return np.sqrt(squares) * scaling.target_scale, r2
    if outputs.shape[-1] == 1:  # log-odds of the second class
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=-1)
        truth = np.concatenate([1 - part.y, part.y], axis=-1)[None]
    else:
        truth = part.y[None]
    log_total = np.logaddexp.reduce(outputs, axis=-1)
    right = outputs.argmax(axis=-1) == truth.argmax(axis=-1)
    return average(log_total - (outputs * truth).sum(axis=-1)), average(right)


def predict(
    networks: Network, x: Float[np.ndarray, "N I"], *, activations: tuple[str, ...]
) -> Float[np.ndarray, "K N O"]:
    """Outputs of K networks, as float64."""
    out = _apply(networks, jnp.asarray(x), activations=activations)
    return np.asarray(out, np.float64)


@functools.partial(jax.jit, static_argnames="activations")
def _apply(
    networks: Network, x: Float[jax.Array, "N I"], *, activations: tuple[str, ...]
) -> Float[jax.Array, "K N O"]:
    one = functools.partial(apply, x=x, activations=activations)
    return jax.vmap(one)(networks)


_count_neurons = jax.jit(jax.vmap(count_neurons))
