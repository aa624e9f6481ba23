"""Fronts of known functions and real tables: `python -m figures.fronts`.

Functions: 500 points to train and choose by (400 and 100), 1,000 to test, with inputs
scaled to [-1, 1]; the error at several sizes, as a share of the variance. Tables: the
default split of the search command, beside a linear model and a dense network of
scikit-learn on the same rows. One JSON file a search; what is there is kept.
"""

import dataclasses
import functools
import itertools
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from figures.common import results
from figures.common.functions import sample_parts
from figures.fronts import plain_models
from swajax.data.problem import Problem, choose_objective
from swajax.data.splits import split_table
from swajax.data.tables import load_table
from swajax.io import commands, configs, runlog
from swajax.model import evaluation
from swajax.model.front import Front
from swajax.objectives import Objective
from swajax.report import fronts
from swajax.search import sources
from swajax.search.config import ExploreConfig, SearchConfig
from swajax.search.run import find_front

FUNCTIONS = ("himmelblau", "ackley-n2", "goldstein-price", "mccormick")
SIZES = (13, 21, 25, 31, 40)
TABLES = ("diabetes", "breast_cancer", "wine", "iris", "digits")
TABLES += ("himmelblau", "goldstein-price", "mccormick")  # 5,000 points each


@dataclasses.dataclass(frozen=True)
class FrontsCommand:
    """Search fronts for known functions and real tables, beside other models."""

    out: Path | None = None
    """folder for the results; what is there is kept
    [figures/out/fronts; quick: a new temporary folder]"""
    num_seeds: int = 3
    """seeds of points and starts for each function"""
    time_budget: float | None = 120.0
    """seconds a search, compilation included"""
    tables: tuple[str, ...] = TABLES
    """tables to search, of those by default"""
    sources: ExploreConfig = dataclasses.field(default_factory=ExploreConfig)
    """where the searches start"""
    quick: bool = False
    """tiny searches, to try out that everything runs"""

    def __post_init__(self) -> None:
        """Reject unknown tables and numbers that cannot be."""
        for name in self.tables:
            if name not in TABLES:
                raise ValueError(f"no table {name!r}; there are: {', '.join(TABLES)}")
        if self.num_seeds < 1:
            raise ValueError(f"num_seeds must be >= 1, got {self.num_seeds}")
        if self.time_budget is not None and not self.time_budget > 0:
            raise ValueError(f"time_budget must be > 0, got {self.time_budget}")


def main(config: FrontsCommand) -> None:
    """Every search that is not there yet, then the summary."""
    commands.use_compilation_cache()
    out, settings = config.out or Path("figures/out/fronts"), SearchConfig()
    if config.quick:  # in a new folder: what is there would be kept, and nothing tried
        out = config.out or Path(tempfile.mkdtemp(prefix="swajax-fronts-"))
        settings = SearchConfig(max_weights=10, num_starts=8, num_rounds=0)
    out.mkdir(parents=True, exist_ok=True)
    budget = config.time_budget
    explored = {
        "config": configs.to_dict(settings),
        "time_budget": budget,
        "explore": configs.to_dict(config.explore),
    }
    for seed, name in itertools.product(range(config.num_seeds), FUNCTIONS):
        search = functools.partial(
            search_function, name, seed, settings, config.explore, budget
        )
        _keep(out / f"{name}-{seed}.json", explored, search)
    for name in config.tables:
        search = functools.partial(
            search_table, name, settings, config.explore, budget, out
        )
        _keep(out / f"{name}.json", explored, search)
    (out / "functions.md").write_text(format_functions(out) + "\n")
    (out / "tables.md").write_text(format_tables(out) + "\n")


def _keep(
    path: Path, settings: dict[str, Any], search: Callable[[], dict[str, Any]]
) -> None:
    """Make a file that is not there; one of other settings is refused."""
    if path.exists():
        results.check(path, json.loads(path.read_bytes()), settings)
        return
    with results.interrupting():
        found = search()
    runlog.write_json(path, found)
    sys.stdout.write(f"{path}: {found['seconds']:.0f} s\n")
    sys.stdout.flush()


def search_function(
    name: str,
    seed: int,
    settings: SearchConfig,
    explore_config: ExploreConfig,
    time_budget: float | None,
) -> dict[str, Any]:
    """The front of one function; errors are shares of the variance of the test part."""
    parts = sample_parts(name, seed)
    search = functools.partial(_search, seed, *parts[:2], objective="squared")
    front, about = search(settings, explore_config, time_budget)
    out = evaluation.predict(
        front.network, parts[2].x, activations=settings.activations
    )
    errors = np.square(out - parts[2].y).mean(axis=(1, 2)) / parts[2].y.var()
    return {
        "function": name,
        "seed": seed,
        **about,
        "pick": front.pick,
        "num_weights": front.num_weights,
        "train_mse": front.train_loss,
        "valid_mse": front.valid_loss,
        "test_mse_by_variance": errors,
    }


def _search(
    seed: int,
    train: Problem,
    valid: Problem,
    settings: SearchConfig,
    explore_config: ExploreConfig,
    time_budget: float | None,
    *,
    objective: Objective,
) -> tuple[Front, dict[str, Any]]:
    """The front as the command finds it, and how."""
    budget = math.inf if time_budget is None else time_budget
    begin = time.monotonic()
    explore_key, key = jax.random.split(jax.random.key(seed))
    starts = sources.find_starts(
        explore_key,
        train,
        valid,
        objective=objective,
        config=explore_config,
        pipeline_config=settings,
        seconds=explore_config.share * budget,
    )
    spent = time.monotonic() - begin
    front = find_front(
        key,
        train,
        valid,
        objective=objective,
        config=settings,
        starts=starts.networks,
        time_budget=budget - spent,
    )
    return front, {
        "seconds": time.monotonic() - begin,
        "explore_seconds": spent,
        "time_budget": time_budget,
        "config": configs.to_dict(settings),
        "explore": configs.to_dict(explore_config),
    }


def search_table(
    name: str,
    settings: SearchConfig,
    explore_config: ExploreConfig,
    time_budget: float | None,
    out: Path,
) -> dict[str, Any]:
    """The front of one table, its picture, and what scikit-learn's models reach."""
    table = load_table(name)
    dataset, scaling, _ = split_table(table, seed=0)
    objective = choose_objective(scaling.classes)
    search = functools.partial(_search, 0, *dataset[:2], objective=objective)
    front, about = search(settings, explore_config, time_budget)
    outcome = evaluation.tabulate(
        front, dataset, scaling, activations=settings.activations
    )
    others = plain_models.compare(dataset, scaling)
    fronts.draw(
        out / f"{name}.png",
        outcome,
        target=table.target_name,
        title=f"{name}: error against size",
        others={
            f"{one['model']}: {one['num_weights']:,} numbers": one[outcome.measures[0]]
            for one in others
        },
    )
    return {
        "table": name,
        **about,
        "num_rows": [len(part.y) for part in dataset],
        "num_inputs": dataset.train.x.shape[1],
        "measures": outcome.measures,
        "front": outcome.rows,
        "others": others,
    }


def format_functions(out: Path) -> str:
    """Median (least to greatest) over the seeds of the error at each size."""
    lines = [
        f"| function | {' | '.join(f'at most {size}' for size in SIZES)} | seconds |",
        "|---" * (len(SIZES) + 2) + "|",
    ]
    for name in FUNCTIONS:
        found = [json.loads(p.read_bytes()) for p in sorted(out.glob(f"{name}-*.json"))]
        cells = [_spread([_error_at(one, size) for one in found]) for size in SIZES]
        seconds = np.median([one["seconds"] for one in found])
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(lines)


def format_tables(out: Path) -> str:
    """The picked network beside the other models, by test error."""
    lines = [
        "| table | inputs | measure | picked: weights | test | linear: numbers | test "
        "| dense network: numbers | test |",
        "|---" * 9 + "|",
    ]
    for name in TABLES:
        path = out / f"{name}.json"
        if not path.exists():
            continue
        found = json.loads(path.read_bytes())
        first, second = found["measures"]
        row = next(row for row in found["front"] if row["is_picked"])
        cells = [name, f"{found['num_inputs']}", f"{first} ({second})"]
        for size, one in (
            (row["num_weights"], {k: row[f"{k}_test"] for k in (first, second)}),
            *((one["num_weights"], one) for one in found["others"]),
        ):
            cells += [f"{size:,}", f"{one[first]:.3g} ({one[second]:.3f})"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _error_at(found: dict[str, Any], size: int) -> float:
    """Test error of the largest network of the front within a size."""
    fitting = sum(num <= size for num in found["num_weights"])
    return found["test_mse_by_variance"][fitting - 1] if fitting else float("nan")


def _spread(values: list[float]) -> str:
    low, middle, high = np.quantile(values, (0, 0.5, 1))
    if low == high:
        return f"{middle:.1e}"
    return f"{middle:.1e} ({low:.0e} to {high:.0e})"


if __name__ == "__main__":
    sys.exit(commands.run_command(main, FrontsCommand, name="python -m figures.fronts"))
