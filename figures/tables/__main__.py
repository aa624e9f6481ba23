"""Compare picked networks with ordinary models on real tables.

    python -m figures.tables --folder TABLES
    python -m figures.tables --summarize

One run per table, split and method. TABLES holds CSV files and index.csv with the
columns table, target and classes (`reg` for numbers); the tables of scikit-learn are
always part of the study.
"""

import dataclasses
import functools
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import pandas as pd

from figures.common import results
from figures.common import tables as markdown
from figures.common.checks import check_above_zero, check_at_least, check_names
from figures.common.quick import QUICK_SEARCH
from figures.common.results import Run, RunFile
from figures.tables import rivals, summary
from swajax.data.problem import Problem, choose_objective
from swajax.data.splits import Dataset, Scaling, split_into_folds, split_table
from swajax.data.tables import Table, load_table
from swajax.io import commands, configs
from swajax.model import evaluation
from swajax.search.config import SearchConfig
from swajax.search.run import find_front

BUILT_IN = ("diabetes", "iris", "wine", "breast_cancer", "digits")
SEARCHES = ("folds", "hold-out")
METHODS = (*SEARCHES, *rivals.REGRESSORS)
FEW_NETWORKS = {"num_starts": 16, "num_kept": 1, "max_perturbed": 3}
CLOCKS = {"cpu": time.process_time, "wall": time.monotonic}

compiled: set[tuple[str, str]] = set()
"""tables and methods whose programs this process has compiled"""


@dataclasses.dataclass(frozen=True)
class TablesCommand:
    """Compare picked networks with ordinary models on real tables."""

    out: Path | None = None
    """folder for runs and tables; existing runs are kept [figures/tables; quick: a new
    temporary folder]"""
    folder: Path | None = None
    """folder of CSV files with an index.csv [only the tables of scikit-learn]"""
    tables: tuple[str, ...] | None = None
    """names of the tables [all]"""
    methods: tuple[str, ...] = METHODS
    """searches (folds: cross-validated; hold-out: one validation part) and models"""
    num_splits: int = 5
    """number of random test parts per table"""
    time_budget: float = 20.0
    """seconds per search"""
    clock: Literal["cpu", "wall"] = "cpu"
    """clock of the searches: seconds of the process, or of the wall"""
    summarize: bool = False
    """do not fit; write the tables again from existing runs"""
    quick: bool = False
    """run tiny searches to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_names("method", self.methods, METHODS)
        check_at_least(1, self, "num_splits")
        check_above_zero(self, "time_budget")


def main(config: TablesCommand) -> None:
    """Make the missing runs, then write the tables."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "tables", is_quick=config.quick)
    runs = RunFile(out / results.FILE_NAME)
    if not config.summarize:
        results.make_missing(runs, _plan(config, runs))
    if not runs:
        raise ValueError(f"{out}: no runs to summarize")
    markdown.write(out / "aims.md", summary.format_aims(runs))
    markdown.write(out / "tables.md", summary.format_tables(runs))


def find_tables(folder: Path | None) -> dict[str, Callable[[], Table]]:
    """Return a function that loads each table, by name."""
    found = {name: functools.partial(load_table, name) for name in BUILT_IN}
    if folder is not None:
        for row in pd.read_csv(folder / "index.csv", dtype=str).itertuples():
            task = "regression" if row.classes == "reg" else "classification"
            path = str(folder / f"{row.table}.csv")
            options = {"target": row.target, "task": task}
            found[row.table] = functools.partial(load_table, path, **options)
    return found


def _plan(config: TablesCommand, runs: RunFile) -> list:
    """Return name and function of each missing run."""
    known = find_tables(config.folder)
    names = tuple(known) if config.tables is None else config.tables
    check_names("table", names, tuple(known))
    search = QUICK_SEARCH if config.quick else SearchConfig()
    wanted = {"config": configs.to_dict(search), "time_budget": config.time_budget}
    wanted |= {"clock": config.clock}
    num = 1 if config.quick else config.num_splits
    planned = []
    for seed, name, method in itertools.product(range(num), names, config.methods):
        run = results.make_name(name, seed, method)
        is_search = method in SEARCHES
        if runs.has(run, wanted if is_search else {}, field=None):
            continue
        how = (search, config.time_budget, config.clock) if is_search else ()
        make = search_table if is_search else fit_rival
        planned.append(
            (run, functools.partial(make, known[name], name, seed, method, *how))
        )
    return planned


def search_table(
    load_fn: Callable[[], Table],
    name: str,
    seed: int,
    method: str,
    config: SearchConfig,
    time_budget: float,
    clock: str,
) -> Run:
    """Search one table and evaluate the whole front on its test rows.

    The time of compilation is not counted.
    """
    table = load_fn()
    if method == "folds":
        dataset, folds, scaling, _ = split_into_folds(table, seed=seed)
    else:
        (dataset, scaling, _), folds = split_table(table, seed=seed), None
    search_fn = functools.partial(
        find_front,
        jax.random.key(seed),
        dataset.train,
        dataset.valid,
        folds=folds,
        objective=choose_objective(scaling.classes),
    )
    if (name, method) not in compiled:  # all splits of a table have the same sizes
        search_fn(config=dataclasses.replace(config, **FEW_NETWORKS))
        compiled.add((name, method))
    begin, wall = CLOCKS[clock](), time.monotonic()
    front = search_fn(config=config, time_budget=time_budget, clock=CLOCKS[clock])
    facts = {
        "clock": clock,
        "time_budget": time_budget,
        "seconds": CLOCKS[clock]() - begin,
        "wall_seconds": time.monotonic() - wall,
        "config": configs.to_dict(config),
    }
    found = evaluation.tabulate(front, dataset, scaling, activations=config.activations)
    return (
        _describe(name, seed, method, dataset)
        | facts
        | {
            "measures": found.measures,
            "front": found.rows,
            "score": found.rows[front.pick][f"{found.measures[1]}_test"],
            "num_weights": found.rows[front.pick]["num_weights"],
        }
    )


def fit_rival(load_fn: Callable[[], Table], name: str, seed: int, method: str) -> Run:
    """Fit an ordinary model to the rows of all folds."""
    dataset, _, scaling, _ = split_into_folds(load_fn(), seed=seed)
    train, test = (_to_arrays(part, scaling) for part in (dataset.train, dataset.test))
    begin = time.monotonic()
    found = rivals.score(method, train, test, is_classes=bool(scaling.classes))
    about = _describe(name, seed, method, dataset)
    return about | {"wall_seconds": time.monotonic() - begin} | (found or {})


def _describe(name: str, seed: int, method: str, dataset: Dataset) -> dict[str, Any]:
    num_rows = len(dataset.train.y) + len(dataset.test.y)
    num_rows += 0 if dataset.valid is None else len(dataset.valid.y)
    inputs = dataset.train.x.shape[1]
    about = {"table": name, "seed": seed, "method": method}
    return about | {"num_rows": num_rows, "num_inputs": inputs}


def _to_arrays(part: Problem, scaling: Scaling) -> tuple[np.ndarray, np.ndarray]:
    is_one_hot = scaling.classes and part.y.shape[1] > 1
    y = part.y.argmax(axis=1) if is_one_hot else part.y[:, 0]
    return part.x.astype(np.float64), y.astype(int if scaling.classes else np.float64)


if __name__ == "__main__":
    sys.exit(commands.run_command(main, TablesCommand, name="python -m figures.tables"))
