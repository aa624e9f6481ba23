"""Tables and pictures of the study, with intervals of a paired bootstrap."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from figures.common import tables
from figures.learned.starts import SOURCES, expect_best

NUMBERS = (1, 4, 16, 32, 64, 128, 256, 512)
FLOOR, CEILING = 1e-8, 10.0  # of errors
NUM_BOOT = 2000

Runs = Sequence[dict[str, Any]]


def format_starts(found: Runs) -> str:
    """Return errors of the best of n starts, and their ratios to random starts."""
    curves = {source: make_curves(found, source) for source in SOURCES}
    most = curves[SOURCES[0]].shape[1]
    rows = []
    for index, num in enumerate(NUMBERS[:most]):
        cells = [f"{np.exp(curves[s][:, index].mean()):.2e}" for s in SOURCES]
        for source in SOURCES[:-1]:
            change = curves[source][:, index] - curves["random"][:, index]
            cells.append(format_ratio(change))
        rows.append([str(num), *cells])
    header = ["starts", *SOURCES, *(f"{s} / random" for s in SOURCES[:-1])]
    text = tables.format_rows(header, rows)
    fields = ("seconds_before", "seconds_polish")
    seconds = [
        [
            source,
            *(f"{np.mean(_seconds(found, source, field)):.3f}" for field in fields),
        ]
        for source in SOURCES
    ]
    header = ["source", "seconds to sample", "seconds to polish"]
    return f"{text}\n{tables.format_rows(header, seconds)}"


def make_curves(found: Runs, source: str) -> Float[np.ndarray, "U K"]:
    """Return the mean log error of the best of n starts, a row per run and size."""
    rows = []
    for run in found:
        for name, one in run["starts"].items():
            if name.rpartition(".")[0] == source:
                train = np.array(one["train"], float)
                errors = np.log(np.clip(np.array(one["errors"], float), FLOOR, CEILING))
                errors = np.where(np.isfinite(errors), errors, np.log(CEILING))
                nums = [num for num in NUMBERS if num <= len(train)]
                rows.append([expect_best(train, errors, num) for num in nums])
    return np.array(rows)


def format_searches(found: Runs) -> str:
    """Return hypervolumes and errors of each mix, and ratios to the default."""
    rows = []
    for seconds in sorted({run["seconds"] for run in found}):
        here = [run for run in found if run["seconds"] == seconds]
        base = {_unit(run): run for run in here if run["mix"] == "default"}
        for mix in dict.fromkeys(run["mix"] for run in here):
            own = [r for r in here if r["mix"] == mix and _unit(r) in base]
            volume = [run["hypervolume"] for run in own]
            wanted = [base[_unit(run)]["hypervolume"] for run in own]
            cells = [f"{np.mean(volume):.3f}", format_quotient(volume, wanted)]
            for size in ("10", "20", "40"):
                logs = np.array([_log_error(run, size) for run in own])
                before = np.array([_log_error(base[_unit(r)], size) for r in own])
                cells += [f"{np.exp(logs.mean()):.2e}", format_ratio(logs - before)]
            rows.append([f"{seconds:g}", mix, str(len(own)), *cells])
    header = ["seconds", "sources", "units", "hypervolume", "/ default"]
    header += [cell for size in (10, 20, 40) for cell in (f"at {size}", "/ default")]
    return tables.format_rows(header, rows)


def format_ratio(logs: Float[np.ndarray, " U"]) -> str:
    """Return the geometric mean of ratios and its 95 % interval over the units."""
    return format_interval(lambda index: float(np.exp(logs[index].mean())), len(logs))


def format_quotient(values: Sequence[float], others: Sequence[float]) -> str:
    """Return the quotient of two means and its 95 % interval over the units."""
    a, b = np.array(values), np.array(others)
    return format_interval(lambda i: float(a[i].mean() / b[i].mean()), len(a))


def format_interval(value_fn: Callable[[np.ndarray], float], num: int) -> str:
    """Return a value and its 95 % bootstrap interval; units are drawn in pairs."""
    rng = np.random.default_rng(0)
    drawn = [value_fn(rng.integers(num, size=num)) for _ in range(NUM_BOOT)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{value_fn(np.arange(num)):.2f} ({low:.2f}-{high:.2f})"


def draw_starts(found: Runs) -> Figure:
    """Draw the error of the best start against their number, and against seconds."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    by_number, by_seconds = figure.subplots(1, 2, sharey=True)
    for source in SOURCES:
        curve = np.exp(make_curves(found, source).mean(axis=0))
        nums = np.array(NUMBERS[: len(curve)])
        by_number.plot(nums, curve, label=source)
        total = len(next(iter(found[0]["starts"].values()))["train"])
        before = np.mean(_seconds(found, source, "seconds_before"))
        each = np.mean(_seconds(found, source, "seconds_polish")) / total
        # All starts of a draw are sampled at once.
        by_seconds.plot(before + nums * each, curve, label=source)
    for axes, label in ((by_number, "starts"), (by_seconds, "seconds")):
        axes.set(xscale="log", yscale="log", xlabel=label)
    by_number.set_ylabel("relative test error")
    by_number.legend(fontsize=8)
    return figure


def _seconds(found: Runs, source: str, field: str) -> list[float]:
    return [
        one[field]
        for run in found
        for name, one in run["starts"].items()
        if name.rpartition(".")[0] == source
    ]


def _unit(run: dict[str, Any]) -> tuple[str, int]:
    return run["task"], run["seed"]


def _log_error(run: dict[str, Any], size: str) -> float:
    return float(np.log(np.clip(run["errors"][size], FLOOR, CEILING)))
