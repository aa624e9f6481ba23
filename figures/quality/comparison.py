"""Methods side by side: means, wins, and what chance there is in them.

A unit is what is drawn again in a bootstrap: a function or a table, whose seeds go
together, or one planted teacher. A run that failed or was late has the worst value of
all methods in its place, and none better than a constant's: it is a loss, not a gap.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from figures.quality.outcomes import LEVELS
from figures.quality.scores import MAX_ERROR, MIN_ERROR, SIZES, Measured, Run, measure

MIN_HYPERVOLUME = 0.01  # so that a ratio exists
SAME = 0.005  # values that differ less, relatively, are a tie
NUM_RESAMPLES = 2000
INTERVAL = (0.025, 0.975)

Place = tuple[str, str, int]  # group, task, seed
Values = dict[Place, float]


class Entry(NamedTuple):
    """What a row of a table is about."""

    method: str
    level: str

    def __str__(self) -> str:
        """As it is shown; the whole search has no addition."""
        return self.method if self.level == "full" else f"{self.method} ({self.level})"


class Ratio(NamedTuple):
    """One method against another, where both have run."""

    mean: float  # geometric, over units
    low: float  # of the interval
    high: float
    wins: float  # share of units; half of the ties
    num_units: int


Table = dict[Entry, dict[Place, Measured | None]]


def collect(runs: Iterable[Run]) -> Table:
    """Measures of all runs; None for failures."""
    table: Table = defaultdict(dict)
    for run in runs:
        place = (run["group"], run["task"], run["seed"])
        for level in find_levels(run):
            table[Entry(run["method"], level)][place] = measure(run, level)
    return dict(table)


def find_levels(run: Run) -> tuple[str, ...]:
    """Levels that the method has, whether or not the run came to its end."""
    if not run["method"].startswith("explore-"):
        return ("full",)
    return LEVELS[1:] if run["method"] == "explore-random" else LEVELS


def error_values(table: Table, size: int) -> dict[Entry, Values]:
    """Relative errors at a size; those of failures are the worst of their place."""
    return _fill(
        table, lambda m: float(np.clip(m.errors[size], MIN_ERROR, MAX_ERROR)), max, 1.0
    )


def hypervolume_values(table: Table) -> dict[Entry, Values]:
    """Hypervolumes; those of failures are the least that counts."""
    least = MIN_HYPERVOLUME
    return _fill(table, lambda m: max(m.hypervolume, least), min, least)


def _fill(
    table: Table,
    value_fn: Callable[[Measured], float],
    worst_fn: Callable[..., float],
    constant: float,
) -> dict[Entry, Values]:
    worst: Values = defaultdict(lambda: constant)
    for own in table.values():
        for place, measured in own.items():
            if measured is not None:
                worst[place] = worst_fn(worst[place], value_fn(measured))
    return {
        entry: {
            place: worst[place] if measured is None else value_fn(measured)
            for place, measured in own.items()
        }
        for entry, own in table.items()
    }


def compare(values: Values, reference: Values, *, is_more_better: bool) -> Ratio | None:
    """Values as multiples of a reference; None if they have no place in common."""
    logs = defaultdict(list)
    for place in values.keys() & reference.keys():
        logs[find_unit(place)].append(np.log(values[place] / reference[place]))
    if not logs:
        return None
    units = np.array([np.mean(logs[unit]) for unit in sorted(logs)])
    low, high = np.exp(bootstrap(units))
    gains = units if is_more_better else -units
    wins = np.where(np.abs(gains) <= np.log1p(SAME), 0.5, gains > 0)
    return Ratio(float(np.exp(units.mean())), low, high, float(wins.mean()), len(units))


def share_seeds(table: Table) -> Table:
    """The same without the seeds of a task that not all methods of it have.

    Another seed is another split or teacher: only equal ones can stand side by side.
    Where no seed is shared, all stay.
    """
    seeds = defaultdict(list)
    for own in table.values():
        for task in {place[:2] for place in own}:
            seeds[task].append({place[2] for place in own if place[:2] == task})
    shared = {
        task: set.intersection(*each) or set.union(*each)
        for task, each in seeds.items()
    }
    return {
        entry: {place: m for place, m in own.items() if place[2] in shared[place[:2]]}
        for entry, own in table.items()
    }


def find_unit(place: Place) -> tuple[str, ...]:
    """What the bootstrap draws: seeds of a planted kind are teachers of their own."""
    group, task, seed = place
    return (group, task, str(seed)) if group == "planted" else (group, task)


def bootstrap(units: Float[np.ndarray, " U"]) -> tuple[float, float]:
    """Interval of the mean over units, by drawing units anew with the same seed."""
    draws = np.random.default_rng(0).integers(
        len(units), size=(NUM_RESAMPLES, len(units))
    )
    low, high = np.quantile(units[draws].mean(axis=1), INTERVAL)
    return float(low), float(high)


def restrict(values: Values, group: str | None) -> Values:
    """Those of one group, or all."""
    return {p: v for p, v in values.items() if group in (None, p[0])}


def geometric_mean(values: Values) -> float:
    """Over units, of the geometric means over their seeds."""
    logs = defaultdict(list)
    for place, value in values.items():
        logs[find_unit(place)].append(np.log(value))
    return float(np.exp(np.mean([np.mean(own) for own in logs.values()])))


def all_sizes(table: Table) -> dict[int, dict[Entry, Values]]:
    """Relative errors at every size."""
    return {size: error_values(table, size) for size in SIZES}
