"""Compare rules that pick one of the linear models of increasing size.

    python -m figures.tables.linear --folder TABLES
    python -m figures.tables.linear --summarize

A fifth of the training rows of each split tests; its test rows are not used, so that
the rule can be a default of the search.
"""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from figures.common import results
from figures.common import tables as markdown
from figures.common.checks import check_at_least, check_names
from figures.common.results import Run, RunFile
from figures.tables import rivals
from figures.tables.__main__ import find_tables, to_arrays
from figures.tables.summary import MARGIN
from swajax.data.folds import divide_into_folds
from swajax.data.problem import (
    choose_objective,
    normalise_weights,
    take_rows,
)
from swajax.data.splits import split_into_folds
from swajax.data.tables import Table
from swajax.io import commands
from swajax.model import evaluation
from swajax.search.config import SearchConfig
from swajax.search.cross_validation import Curve, held_folds
from swajax.search.folds import choose_unit
from swajax.search.linear_path import find_linear_models

FILE_NAME, MAX_ROWS = "linear.jsonl", 4000
RULES: dict[str, tuple[int, float]] = {
    "best": (0, 0.0),
    "smallest within 0.5 SE": (0, 0.5),
    "smallest within 1 SE": (0, 1.0),
    "largest within 0.5 SE": (-1, 0.5),
    "largest within 1 SE": (-1, 1.0),
    "largest within 2 SE": (-1, 2.0),
    "largest": (-1, np.inf),
}
"""Which of the models within so many standard errors of the best: first or last."""


@dataclasses.dataclass(frozen=True)
class LinearCommand:
    """Compare rules that pick one of the linear models of increasing size."""

    out: Path | None = None
    """folder for runs and table [figures/tables; quick: a new temporary folder]"""
    folder: Path | None = None
    """folder of CSV files with an index.csv [only the tables of scikit-learn]"""
    num_splits: int = 5
    """number of splits per table"""
    summarize: bool = False
    """do not fit; write the table again from existing runs"""
    quick: bool = False
    """fit one table to test the study"""

    def __post_init__(self) -> None:
        """Check numbers."""
        check_at_least(1, self, "num_splits")


def main(config: LinearCommand) -> None:
    """Make the missing runs, then write the table."""
    out = results.choose_folder(config.out, "tables", is_quick=config.quick)
    runs = RunFile(out / FILE_NAME)
    tables = {} if config.summarize else find_tables(config.folder)
    names = ("iris",) if config.quick else tuple(tables)
    check_names("table", names, tuple(tables) or names)
    seeds = range(0 if config.summarize else 1 if config.quick else config.num_splits)
    planned = [
        (run, functools.partial(compare_rules, tables[name], name, seed))
        for seed, name in itertools.product(seeds, names)
        if not runs.has(run := results.make_name(name, seed, "rules"), {}, field=None)
    ]
    results.make_missing(runs, planned)
    if not runs:
        raise ValueError(f"{out}: no runs to summarize")
    markdown.write(out / "linear.md", format_rules(runs))


def compare_rules(load_fn: Callable[[], Table], name: str, seed: int) -> Run:
    """Return size and score of each rule, and the score of scikit-learn's model."""
    dataset, _, scaling, _ = split_into_folds(load_fn(), seed=seed)
    order = np.random.default_rng(seed).permutation(len(dataset.train.x))[:MAX_ROWS]
    cut, config = len(order) // 5, SearchConfig()
    test, train = (
        take_rows(dataset.train, part) for part in (order[:cut], order[cut:])
    )
    train, objective = normalise_weights(train), choose_objective(scaling.classes)
    arrays = [to_arrays(part, scaling) for part in (train, test)]
    codes = arrays[0][1] if scaling.classes else np.zeros(len(train.y))
    folds = divide_into_folds(codes, seed)[0]
    networks, curve = find_linear_models(
        train,
        folds,
        held_folds(folds),
        objective,
        config.make_spec(train.x.shape[1], train.y.shape[1]),
        config.max_weights,
        choose_unit(train, objective),
    )
    found = evaluation.score(
        networks, test, scaling=scaling, activations=config.activations
    )
    linear = rivals.score("linear", *arrays, is_classes=bool(scaling.classes))
    picks = {rule: _pick(curve, *how) for rule, how in RULES.items()}
    return {
        "table": name,
        "seed": seed,
        "linear": linear["score"],
        "sizes": {rule: int(curve.sizes[pick]) for rule, pick in picks.items()},
        "scores": {rule: float(found[pick]) for rule, pick in picks.items()},
    }


def _pick(curve: Curve, place: int, num_errors: float) -> int:
    limit = curve.means.min()
    if num_errors:
        limit = limit + num_errors * np.maximum(curve.diff_se(), 1e-12)
    return int(np.flatnonzero(curve.means <= limit)[place])


def format_rules(runs: RunFile) -> str:
    """Return how often each rule keeps up with scikit-learn's model, and its sizes."""
    rows = []
    for rule in RULES:
        gaps = np.array([run["scores"][rule] - run["linear"] for run in runs.values()])
        sizes = [run["sizes"][rule] for run in runs.values()]
        short = f"{np.maximum(-gaps, 0).mean():.4f}"
        kept = f"{np.mean(gaps >= -MARGIN):.0%}"
        rows.append([rule, kept, short, f"{np.median(sizes):.0f}", str(len(gaps))])
    header = ["pick", "at least -0.01", "mean shortfall", "median weights", "pairs"]
    return markdown.format_rows(header, rows)


if __name__ == "__main__":
    name = "python -m figures.tables.linear"
    sys.exit(commands.run_command(main, LinearCommand, name=name))
