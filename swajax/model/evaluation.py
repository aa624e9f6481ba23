"""Sizes and errors of the networks of a front, the only use of the test rows."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from swajax.data.messages import shown
from swajax.data.problem import Problem, take_rows
from swajax.data.splits import Dataset, Scaling
from swajax.io.compilation import compile_for
from swajax.model.front import Front
from swajax.network import apply
from swajax.objectives import losses_on_host
from swajax.types import Network

REGRESSION, CLASSIFICATION = ("rmse", "r2"), ("log_loss", "accuracy")
TITLES = {
    "rmse": "RMSE in the units of {} (R2)",
    "log_loss": "log loss of {} (accuracy)",
}
WIDTHS = (7, 7, 6, 19, 19, 19, 19)  # column widths of the text table

LONG_TAIL = 4  # dominated networks at the end of a text table
BLOCK = 32, 512  # networks and rows of one call


class FrontTable(NamedTuple):
    """One row per network, by ascending size."""

    rows: list[dict[str, Any]]
    """num_weights, num_neurons, depth, valid_loss, valid_loss_diff_se, is_picked,
    is_dominated and, for each measure and part, `<measure>_<part>`, such as rmse_test;
    `<measure>_low` and `<measure>_high`, a 90 % interval of the first measure, if the
    front has one; `fidelity_<part>`, the second measure against a teacher"""
    measures: tuple[str, str]
    """names of the two measures; the first one is minimised"""
    pick: int
    """index of the picked network"""
    is_cross_validated: bool = False
    """whether the part `valid` is the training rows, each predicted by networks that
    were fitted without it"""


def tabulate(
    front: Front,
    dataset: Dataset,
    scaling: Scaling,
    *,
    activations: tuple[str, ...],
    read_test: Callable[[], Iterable[Problem]] | None = None,
    imitated: Dataset | None = None,
) -> FrontTable:
    """Evaluate all networks of a front on all parts of a table, the test part included.

    The measures of a regression are the root mean squared error, in the units of the
    target, and R2; those of a classification are the log loss, in nats, and the
    accuracy. All measures use the weights of the rows.

    Args:
      front: networks that read the rows of `dataset`.
      dataset: parts of a table.
      scaling: the scaling of the rows.
      activations: names of the activations of the networks.
      read_test: yields the test rows in chunks, where `dataset` has a sample of them.
      imitated: the parts with the predictions of a teacher as targets.
    """
    parts = {
        name: [part] for name, part in dataset._asdict().items() if part is not None
    }
    if read_test is not None and "test" in parts:
        parts["test"] = read_test()
    measures = CLASSIFICATION if scaling.classes else REGRESSION
    errors = {
        f"{measure}_{name}": values
        for name, chunks in parts.items()
        for measure, values in zip(
            measures,
            _evaluate(front.network, chunks, scaling, activations),
            strict=True,
        )
    }
    for name, part in ({} if imitated is None else imitated._asdict()).items():
        if part is not None:
            own = score(front.network, part, scaling, activations)
            errors[f"fidelity_{name}"] = own
    if dataset.valid is None:
        held = take_rows(dataset.train, front.held_rows)
        pair = _measure([(front.held_outputs, held)], scaling)
        errors |= {f"{m}_valid": v for m, v in zip(measures, pair, strict=True)}
    if front.valid_interval is not None:
        ends = front.valid_interval.T
        if not scaling.classes:
            ends = np.sqrt(ends) * scaling.target_scale
        names = (f"{measures[0]}_low", f"{measures[0]}_high")
        errors |= dict(zip(names, ends, strict=True))
    neurons = _count_neurons(front.network)
    rows = [
        {
            "num_weights": int(front.num_weights[index]),
            "num_neurons": int(neurons[index]),
            "depth": int(front.network.depth[index]) if neurons[index] else 0,
            "valid_loss": float(front.valid_loss[index]),
            "valid_loss_diff_se": float(front.valid_loss_diff_se[index]),
            **{name: float(values[index]) for name, values in errors.items()},
            "is_picked": index == front.pick,
            "is_dominated": not front.is_best[index],
        }
        for index in range(len(front.num_weights))
    ]
    return FrontTable(rows, measures, front.pick, dataset.valid is None)


def format_table(table: FrontTable, *, target: str, picked: str) -> str:
    """Format a table as text, with a mark at the picked network.

    A dash marks networks that a smaller one beats. The last of them share a line, so
    that the others stay in sight.

    Args:
      table: the networks and their errors.
      target: name of the target.
      picked: reason for the pick.
    """
    first = table.measures[0]
    parts = [p for p in ("valid", "test") if f"{first}_{p}" in table.rows[0]]
    names = {"valid": "cross-validated"} if table.is_cross_validated else {}
    has_interval = f"{first}_low" in table.rows[0]
    fidelity = f"fidelity_{parts[-1]}"
    has_fidelity = fidelity in table.rows[0]
    heads = [names.get(part, part) for part in parts]
    heads += ["90 %"] * has_interval + ["fidelity"] * has_fidelity
    lines = [
        f"{TITLES[first].format(shown(target))}; >: picked, {picked}",
        _format_line(" ", "weights", "neurons", "layers", *heads),
    ]
    first_hidden = _find_tail(table.rows)
    for row in table.rows[:first_hidden]:
        sizes = (row["num_weights"], row["num_neurons"], row["depth"])
        cells = [_format_errors(row, table.measures, part) for part in parts]
        if has_interval:
            cells.append(f"{row[f'{first}_low']:.4g} to {row[f'{first}_high']:.4g}")
        if has_fidelity:
            cells.append(f"{row[fidelity]:.3f}")
        mark = ">" if row["is_picked"] else "-" if row["is_dominated"] else " "
        lines.append(_format_line(mark, *map(str, sizes), *cells))
    if first_hidden < len(table.rows):
        num, row = len(table.rows) - first_hidden, table.rows[first_hidden]
        lines.append(
            f"- {row['num_weights']:>7} and more: {num} networks, each worse than a "
            "smaller one"
        )
    return "\n".join(lines)


def score(
    networks: Network,
    part: Problem,
    scaling: Scaling,
    activations: tuple[str, ...],
) -> Float[np.ndarray, " K"]:
    """Return R2, or the share of right classes, of each network on some rows."""
    return _evaluate(networks, [part], scaling, activations)[1]


def _find_tail(rows: list[dict[str, Any]]) -> int:
    """Return the index of the first row of a long end of dominated networks."""
    last = max(k for k, row in enumerate(rows) if not row["is_dominated"])
    return last + 1 if len(rows) - last > LONG_TAIL else len(rows)


def predict(
    networks: Network, x: Float[np.ndarray, "N I"], *, activations: tuple[str, ...]
) -> Float[np.ndarray, "K N O"]:
    """Compute the outputs of K networks, returned as float64.

    In blocks of one shape: all fronts of a table share a compiled program.
    """
    num, num_rows = len(networks.depth), len(x)
    networks = jax.tree.map(lambda leaf: _pad_first(leaf, BLOCK[0], "edge"), networks)
    parts = np.split(
        _pad_first(x, BLOCK[1], "constant"), range(BLOCK[1], num_rows, BLOCK[1])
    )
    apply_fn = _compile_apply(activations)
    out = np.concatenate([apply_fn(networks, part) for part in parts], axis=1)
    return np.float64(out[:num, :num_rows])


def _count_neurons(networks: Network) -> Int[np.ndarray, " K"]:
    """Count neurons like `swajax.network.count_neurons`, without compilation."""
    used = np.arange(networks.mask.shape[1]) < np.asarray(networks.depth)[:, None]
    return np.count_nonzero(networks.mask * used[..., None], axis=(1, 2))


def _evaluate(
    networks: Network,
    chunks: Iterable[Problem],
    scaling: Scaling,
    activations: tuple[str, ...],
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Compute both measures of each network on one part, given in chunks."""
    outputs = (
        (predict(networks, chunk.x, activations=activations), chunk) for chunk in chunks
    )
    return _measure(outputs, scaling)


def _measure(
    outputs: Iterable[tuple[Float[np.ndarray, "K N O"], Problem]], scaling: Scaling
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Compute both measures of outputs, given in chunks with their rows."""
    evaluate_fn = _evaluate_classes if scaling.classes else _evaluate_numbers
    found, weights = [], []
    for out, chunk in outputs:
        found.append(evaluate_fn(np.asarray(out, np.float64), chunk))
        weights.append(np.sum(chunk.weight, dtype=np.float64))
    means = np.average(found, axis=0, weights=weights)
    if scaling.classes:
        return tuple(means)
    squares, mean, variance = means
    between = np.square(np.array(found)[:, 1] - mean)
    variance = variance + np.average(between, axis=0, weights=weights)
    r2 = 1 - squares / variance if variance[0] > 0 else np.full(len(squares), np.nan)
    return np.sqrt(squares) * scaling.target_scale, r2


def _evaluate_numbers(
    outputs: Float[np.ndarray, "K N 1"], part: Problem
) -> Float[np.ndarray, "3 K"]:
    """Compute the mean squared error, and mean and variance of y, in scaled units."""
    average = functools.partial(np.average, weights=part.weight)
    squares = average(np.square(outputs - part.y[None])[..., 0], axis=1)
    mean = average(part.y, axis=0)
    variance = average(np.square(part.y - mean)[:, 0])
    same = np.ones(len(squares))
    return np.stack([squares, mean[0] * same, variance * same])


def _evaluate_classes(
    outputs: Float[np.ndarray, "K N O"], part: Problem
) -> Float[np.ndarray, "2 K"]:
    """Compute the log loss and the accuracy."""
    y = part.y
    if outputs.shape[-1] == 1:  # the log-odds of the second class
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=-1)
        y = np.concatenate([1 - y, y], axis=-1)
    losses = losses_on_host(outputs, y, "softmax")
    is_right = outputs.argmax(axis=-1) == y[None].argmax(axis=-1)
    average = functools.partial(np.average, axis=1, weights=part.weight)
    return np.stack([average(losses), average(is_right)])


def _format_errors(row: dict[str, Any], measures: tuple[str, str], part: str) -> str:
    first, second = (row[f"{measure}_{part}"] for measure in measures)
    return f"{first:.4g} ({second:.3f})"


def _format_line(mark: str, *cells: str) -> str:
    pairs = zip(cells, WIDTHS[: len(cells)], strict=True)
    return " ".join((mark, *(f"{cell:>{width}}" for cell, width in pairs)))


def _pad_first(leaf: np.ndarray, multiple: int, mode: str) -> np.ndarray:
    """Pad the first axis to a multiple."""
    widths = [(0, -len(leaf) % multiple), *[(0, 0)] * (np.ndim(leaf) - 1)]
    return np.pad(leaf, widths, mode=mode)


@functools.cache
def _compile_apply(activations: tuple[str, ...]) -> Callable[..., jax.Array]:
    def apply_one(
        network: Network, x: Float[jax.Array, "N I"]
    ) -> Float[jax.Array, "N O"]:
        return apply(network, x, activations=activations)

    return compile_for("seldom", jax.vmap(apply_one, in_axes=(0, None)))
