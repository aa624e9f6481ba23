"""Measure what a teacher, gradient boosting, is worth on real tables.

    python -m figures.compress.teachers --folder TABLES
    python -m figures.compress.teachers --summarize

One run per table, split and method, all with the settings `SEARCH`. `labels` is the
search without a teacher. The other methods fit the networks to predictions of a
teacher: for the rows that it was fitted to (`in-sample`), for rows that it was not
fitted to (`out-of-fold`), also for made-up rows (`made-up`), or the means of the labels
and of the predictions out of the folds (`mixed`). `file` is the search with a
validation part of `python -m swajax.search --teacher`.
"""

import dataclasses
import functools
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax

from figures.common import results
from figures.common import tables as markdown
from figures.common.checks import check_above_zero, check_at_least, check_names
from figures.common.quick import QUICK_SEARCH
from figures.common.results import Run, RunFile
from figures.compress.boosting import METHODS, Teacher, make_parts, score
from figures.compress.teacher_table import format_table
from figures.tables.__main__ import find_tables
from swajax.data.loading import divide_table
from swajax.data.problem import choose_objective
from swajax.data.tables import Table
from swajax.io import commands, configs
from swajax.model import evaluation
from swajax.model.front import Front
from swajax.search.config import SearchConfig
from swajax.search.imitation import pick_near
from swajax.search.run import find_front

SEARCH = SearchConfig(
    max_weights=20,
    max_depth=2,
    num_starts=64,
    num_rounds=0,
    num_kept=4,
    max_perturbed=0,
    sources=("random", "linear"),
)


@dataclasses.dataclass(frozen=True)
class TeachersCommand:
    """Measure what a teacher, gradient boosting, is worth on real tables."""

    out: Path | None = None
    """folder for runs and tables; existing runs are kept [figures/compress; quick: a
    new temporary folder]"""
    folder: Path | None = None
    """folder of CSV files with an index.csv [only the tables of scikit-learn]"""
    tables: tuple[str, ...] | None = None
    """names of the tables [all]"""
    methods: tuple[str, ...] = METHODS
    """targets of the networks"""
    num_splits: int = 2
    """number of random test parts per table"""
    time_budget: float | None = None
    """seconds of the process per run, the fits of the teacher included [none: the
    settings limit the effort]"""
    summarize: bool = False
    """do not fit; write the table again from existing runs"""
    quick: bool = False
    """run tiny searches to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_names("method", self.methods, METHODS)
        check_at_least(1, self, "num_splits")
        check_above_zero(self, "time_budget")


def main(config: TeachersCommand) -> None:
    """Make the missing runs, then write the table."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "compress", is_quick=config.quick)
    runs = RunFile(out / "teachers.jsonl")
    if not config.summarize:
        results.make_missing(runs, _plan(config, runs), _describe)
    if not runs:
        raise ValueError(f"{out}: no runs to summarize")
    markdown.write(out / "teachers.md", format_table(runs))


def _plan(config: TeachersCommand, runs: RunFile) -> list:
    """Return name and function of each missing run."""
    known = find_tables(config.folder)
    names = tuple(known) if config.tables is None else config.tables
    check_names("table", names, tuple(known))
    search = QUICK_SEARCH if config.quick else SEARCH
    wanted = {"config": configs.to_dict(search)}
    num = 1 if config.quick else config.num_splits
    planned = []
    for seed, name, method in itertools.product(range(num), names, config.methods):
        run = results.make_name(name, seed, method)
        if not runs.has(run, wanted, field=None):
            how = (name, seed, method, search, config.time_budget)
            planned.append((run, functools.partial(search_table, known[name], *how)))
    return planned


def search_table(
    load_fn: Callable[[], Table],
    name: str,
    seed: int,
    method: str,
    config: SearchConfig,
    time_budget: float | None,
) -> Run:
    """Search one table by the labels or by a teacher, and evaluate the front."""
    loaded = divide_table(
        load_fn(),
        seed=seed,
        valid_share=0.2 if method == "file" else None,
        test_share=0.2,
        class_weight=None,
        split="random",
    )
    begin, teacher = time.process_time(), Teacher(loaded.scaling)
    train, valid, folds = make_parts(loaded, teacher, method, seed)
    if time_budget is not None:
        time_budget = max(time_budget + begin - time.process_time(), 1.0)
    front = find_front(
        jax.random.key(seed),
        train,
        valid,
        folds=folds,
        objective=choose_objective(loaded.scaling.classes),
        config=config,
        time_budget=time_budget,
        clock=time.process_time,
    )
    seconds = time.process_time() - begin
    if method == "file":
        front = pick_near(front)
    parts = loaded.dataset
    found = evaluation.tabulate(
        _without_made_rows(front, len(parts.train.x)),
        parts,
        loaded.scaling,
        activations=config.activations,
    )
    measure = found.measures[1]
    return {
        "table": name,
        "seed": seed,
        "method": method,
        "seconds": seconds,
        "config": configs.to_dict(config),
        "score": found.rows[front.pick][f"{measure}_test"],
        "num_weights": found.rows[front.pick]["num_weights"],
        "teacher": score(teacher.fit(parts.train), parts.test, loaded.scaling),
        "front": found.rows,
    }


def _without_made_rows(front: Front, num_rows: int) -> Front:
    """Leave out the held-out rows that are no rows of the table."""
    if front.held_rows is None:
        return front
    is_kept = front.held_rows < num_rows
    outputs, rows = front.held_outputs[:, is_kept], front.held_rows[is_kept]
    return front._replace(held_outputs=outputs, held_rows=rows)


def _describe(run: Run) -> str:
    return f"{run['score']:.3f} with {run['num_weights']} weights"


if __name__ == "__main__":
    name = "python -m figures.compress.teachers"
    sys.exit(commands.run_command(main, TeachersCommand, name=name))
