"""Search fronts for known functions and real tables: `python -m figures.fronts`.

Functions have 400 training, 100 validation and 1,000 test points with inputs scaled to
[-1, 1]; the table shows the error at several sizes as a share of the variance. Tables
use the default split of the search command; their picked networks are compared with a
linear model and a dense network of scikit-learn on the same rows.
"""

import dataclasses
import functools
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from figures.common import results, tables
from figures.common.checks import check_above_zero, check_at_least, check_names
from figures.common.functions import sample_parts
from figures.common.quick import QUICK_SEARCH
from figures.common.results import Run, RunFile
from figures.fronts import plain_models
from swajax.data.problem import Problem, choose_objective
from swajax.data.splits import split_table
from swajax.data.tables import load_table
from swajax.io import commands, configs
from swajax.model import evaluation
from swajax.model.evaluation import FrontTable
from swajax.model.front import Front
from swajax.objectives import Objective
from swajax.report import fronts
from swajax.search.config import SearchConfig
from swajax.search.run import find_front

FUNCTIONS = ("himmelblau", "ackley-n2", "goldstein-price", "mccormick")
SIZES = (13, 21, 25, 31, 40)
TABLES = ("diabetes", "breast_cancer", "wine", "iris", "digits")
TABLES += ("himmelblau", "goldstein-price", "mccormick")  # with 5,000 points each


@dataclasses.dataclass(frozen=True)
class FrontsCommand:
    """Search fronts for known functions and real tables, and compare other models."""

    out: Path | None = None
    """folder for runs, tables and pictures; existing runs are kept
    [figures/fronts; quick: a new temporary folder]"""
    functions: tuple[str, ...] = FUNCTIONS
    """known functions to search"""
    num_seeds: int = 3
    """number of seeds of the points and starts of each function"""
    time_budget: float | None = 120.0
    """seconds per search, compilation included"""
    tables: tuple[str, ...] = TABLES
    """tables to search"""
    sources: tuple[str, ...] | None = None
    """sources of starting networks [those of the search command]"""
    summarize: bool = False
    """do not search; redraw tables and pictures from existing runs"""
    quick: bool = False
    """run tiny searches to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_names("function", self.functions, FUNCTIONS)
        check_names("table", self.tables, TABLES)
        check_at_least(1, self, "num_seeds")
        check_above_zero(self, "time_budget")


def main(config: FrontsCommand) -> None:
    """Make the missing runs, then write tables and pictures."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "fronts", is_quick=config.quick)
    runs = RunFile(out / results.FILE_NAME)
    if not config.summarize:
        results.make_missing(runs, _plan(config, runs))
    if not runs:
        raise ValueError(f"{out}: no runs to summarize")
    tables.write(out / "functions.md", format_functions(runs))
    tables.write(out / "tables.md", format_tables(runs))
    for run in runs.values():
        if "table" in run:
            draw_front(out / f"{run['table']}.png", run)


def _plan(config: FrontsCommand, runs: RunFile) -> list:
    """Return name and function of each missing run."""
    search = dataclasses.replace(
        QUICK_SEARCH if config.quick else SearchConfig(), sources=config.sources
    )
    wanted = {"config": configs.to_dict(search), "time_budget": config.time_budget}
    how = {"config": search, "time_budget": config.time_budget}
    planned = [
        (f"{name}-{seed}", functools.partial(search_function, name, seed, **how))
        for seed, name in itertools.product(range(config.num_seeds), config.functions)
    ]
    planned += [
        (name, functools.partial(search_table, name, **how)) for name in config.tables
    ]
    return [one for one in planned if not runs.has(one[0], wanted, field=None)]


def search_function(
    name: str, seed: int, *, config: SearchConfig, time_budget: float | None
) -> Run:
    """Search one function; errors are divided by the variance of the test outputs."""
    train, valid, test = sample_parts(name, seed)
    front, facts = _search(seed, train, valid, "squared", config, time_budget)
    out = evaluation.predict(front.network, test.x, activations=config.activations)
    errors = np.square(out - test.y).mean(axis=(1, 2)) / test.y.var()
    return {
        "function": name,
        "seed": seed,
        **facts,
        "pick": front.pick,
        "num_weights": front.num_weights,
        "train_mse": front.train_loss,
        "valid_mse": front.valid_loss,
        "test_mse_by_variance": errors,
    }


def search_table(name: str, *, config: SearchConfig, time_budget: float | None) -> Run:
    """Search one table and fit the models of scikit-learn to the same rows."""
    dataset, scaling, _ = split_table(load_table(name), seed=0)
    objective = choose_objective(scaling.classes)
    front, facts = _search(0, *dataset[:2], objective, config, time_budget)
    evaluated = evaluation.tabulate(
        front, dataset, scaling, activations=config.activations
    )
    return {
        "table": name,
        **facts,
        "num_rows": [len(part.y) for part in dataset],
        "num_inputs": dataset.train.x.shape[1],
        "measures": evaluated.measures,
        "front": evaluated.rows,
        "others": plain_models.compare(dataset, scaling),
    }


def _search(
    seed: int,
    train: Problem,
    valid: Problem,
    objective: Objective,
    config: SearchConfig,
    time_budget: float | None,
) -> tuple[Front, dict[str, Any]]:
    """Return the front that the search command would find, and facts about the run."""
    begin = time.monotonic()
    front = find_front(
        jax.random.key(seed),
        train,
        valid,
        objective=objective,
        config=config,
        time_budget=time_budget,
    )
    return front, {
        "seconds": time.monotonic() - begin,
        "time_budget": time_budget,
        "config": configs.to_dict(config),
    }


def draw_front(path: Path, run: Run) -> None:
    """Draw error against size for a table; other models are horizontal lines."""
    pick = next(n for n, row in enumerate(run["front"]) if row["is_picked"])
    first = run["measures"][0]
    fronts.draw(
        path,
        FrontTable(run["front"], tuple(run["measures"]), pick),
        target=load_table(run["table"]).target_name,
        title=f"{run['table']}: error against size",
        others={
            f"{one['model']}: {one['num_weights']:,} numbers": one[first]
            for one in run["others"]
        },
    )


def format_functions(runs: RunFile) -> str:
    """Return the median (minimum to maximum) error over the seeds at each size."""
    rows = []
    for name in FUNCTIONS:
        matching = [run for run in runs.values() if run.get("function") == name]
        if matching:
            cells = [
                _spread([_error_at(run, size) for run in matching]) for size in SIZES
            ]
            seconds = np.median([run["seconds"] for run in matching])
            rows.append([name, *cells, f"{seconds:.0f}"])
    header = ["function", *(f"at most {size}" for size in SIZES), "seconds"]
    return tables.format_rows(header, rows)


def format_tables(runs: RunFile) -> str:
    """Return the test errors of the picked networks and of the other models."""
    rows = []
    for name in TABLES:
        if name not in runs:
            continue
        run = runs[name]
        first, second = run["measures"]
        picked = next(row for row in run["front"] if row["is_picked"])
        cells = [name, f"{run['num_inputs']}", f"{first} ({second})"]
        models = [{key: picked[f"{key}_test"] for key in (first, second)}]
        models[0]["num_weights"] = picked["num_weights"]
        for one in (*models, *run["others"]):
            cells += [f"{one['num_weights']:,}"]
            cells += [f"{one[first]:.3g} ({one[second]:.3f})"]
        rows.append(cells)
    header = ["table", "inputs", "measure", "picked: weights", "test"]
    header += ["linear: numbers", "test", "dense network: numbers", "test"]
    return tables.format_rows(header, rows)


def _error_at(run: Run, size: int) -> float:
    """Return the test error of the largest network with at most `size` weights."""
    fitting = sum(num <= size for num in run["num_weights"])
    return run["test_mse_by_variance"][fitting - 1] if fitting else float("nan")


def _spread(values: list[float]) -> str:
    low, middle, high = np.quantile(values, (0, 0.5, 1))
    if low == high:
        return f"{middle:.1e}"
    return f"{middle:.1e} ({low:.0e} to {high:.0e})"


if __name__ == "__main__":
    sys.exit(commands.run_command(main, FrontsCommand, name="python -m figures.fronts"))
