"""Comparison of methods: geometric means, wins and bootstrap intervals.

The bootstrap resamples units. A unit is a function or a table with all its seeds, or
one planted teacher. A failed or late run gets the worst value of all methods on its
case, at best the value of a constant, so that a failure counts as a loss.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from figures.quality.outcomes import LEVELS
from figures.quality.scores import MAX_ERROR, MIN_ERROR, SIZES, Run, Scores, score_run

MIN_HYPERVOLUME = 0.01  # lower limit, so that ratios exist
TIE = 0.005  # relative difference up to which two values are a tie
NUM_RESAMPLES = 2000
INTERVAL = (0.025, 0.975)

Case = tuple[str, str, int]  # group, task, seed
Values = dict[Case, float]


class Entry(NamedTuple):
    """Method and level in a row of a table."""

    method: str
    level: str

    def __str__(self) -> str:
        """Return the label; the whole search has no suffix."""
        return self.method if self.level == "full" else f"{self.method} ({self.level})"


class Ratio(NamedTuple):
    """A method relative to another on the cases that both have run."""

    mean: float  # geometric mean over units
    low: float  # lower end of the interval
    high: float
    wins: float  # share of units won; a tie counts half
    num_units: int


Table = dict[Entry, dict[Case, Scores | None]]


def collect(runs: Iterable[Run]) -> Table:
    """Return the scores of all runs; None for failures."""
    table: Table = defaultdict(dict)
    for run in runs:
        case = (run["group"], run["task"], run["seed"])
        for level in find_levels(run):
            table[Entry(run["method"], level)][case] = score_run(run, level)
    return dict(table)


def find_levels(run: Run) -> tuple[str, ...]:
    """Return the levels of the method of a run, complete or not."""
    if not run["method"].startswith("explore-"):
        return ("full",)
    return LEVELS[1:] if run["method"] == "explore-random" else LEVELS


def error_values(table: Table, size: int) -> dict[Entry, Values]:
    """Return relative errors at a size; failures get the worst value of their case."""
    return _fill(
        table, lambda m: float(np.clip(m.errors[size], MIN_ERROR, MAX_ERROR)), max, 1.0
    )


def hypervolume_values(table: Table) -> dict[Entry, Values]:
    """Return hypervolumes; failures get the smallest value of their case."""
    least = MIN_HYPERVOLUME
    return _fill(table, lambda m: max(m.hypervolume, least), min, least)


def _fill(
    table: Table,
    value_fn: Callable[[Scores], float],
    worst_fn: Callable[..., float],
    constant: float,
) -> dict[Entry, Values]:
    worst: Values = defaultdict(lambda: constant)
    for results in table.values():
        for case, scored in results.items():
            if scored is not None:
                worst[case] = worst_fn(worst[case], value_fn(scored))
    return {
        entry: {
            case: worst[case] if scored is None else value_fn(scored)
            for case, scored in results.items()
        }
        for entry, results in table.items()
    }


def compare(values: Values, reference: Values, *, is_more_better: bool) -> Ratio | None:
    """Return values as multiples of a reference.

    Args:
      values: values of a method.
      reference: values of another method.
      is_more_better: whether larger values win.

    Returns:
      None if the methods have no case in common.
    """
    logs = defaultdict(list)
    for case in values.keys() & reference.keys():
        logs[find_unit(case)].append(np.log(values[case] / reference[case]))
    if not logs:
        return None
    units = np.array([np.mean(logs[unit]) for unit in sorted(logs)])
    low, high = np.exp(bootstrap(units))
    gains = units if is_more_better else -units
    wins = np.where(np.abs(gains) <= np.log1p(TIE), 0.5, gains > 0)
    return Ratio(float(np.exp(units.mean())), low, high, float(wins.mean()), len(units))


def share_seeds(table: Table) -> Table:
    """Keep the seeds of each task that all methods of the task have run.

    Another seed is another split or teacher, so only equal seeds are comparable. If no
    seed of a task is shared, all are kept.
    """
    seeds = defaultdict(list)
    for results in table.values():
        for task in {case[:2] for case in results}:
            seeds[task].append({case[2] for case in results if case[:2] == task})
    shared = {
        task: set.intersection(*each) or set.union(*each)
        for task, each in seeds.items()
    }
    return {
        entry: {case: m for case, m in results.items() if case[2] in shared[case[:2]]}
        for entry, results in table.items()
    }


def find_unit(case: Case) -> tuple[str, ...]:
    """Return the unit of a case; each planted teacher is a unit."""
    group, task, seed = case
    return (group, task, str(seed)) if group == "planted" else (group, task)


def bootstrap(units: Float[np.ndarray, " U"]) -> tuple[float, float]:
    """Return the bootstrap interval of the mean over units, with a fixed seed."""
    draws = np.random.default_rng(0).integers(
        len(units), size=(NUM_RESAMPLES, len(units))
    )
    low, high = np.quantile(units[draws].mean(axis=1), INTERVAL)
    return float(low), float(high)


def restrict(values: Values, group: str | None) -> Values:
    """Keep the values of one group; None keeps all."""
    return {p: v for p, v in values.items() if group in (None, p[0])}


def geometric_mean(values: Values) -> float:
    """Return the geometric mean over units of the geometric means over seeds."""
    logs = defaultdict(list)
    for case, value in values.items():
        logs[find_unit(case)].append(np.log(value))
    return float(np.exp(np.mean([np.mean(unit_logs) for unit_logs in logs.values()])))


def all_sizes(table: Table) -> dict[int, dict[Entry, Values]]:
    """Return relative errors at every size."""
    return {size: error_values(table, size) for size in SIZES}
