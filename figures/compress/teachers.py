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
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.metrics import r2_score

from figures.common import results
from figures.common import tables as markdown
from figures.common.checks import check_above_zero, check_at_least, check_names
from figures.common.quick import QUICK_SEARCH
from figures.common.results import Run, RunFile
from figures.tables.__main__ import find_tables
from swajax.data.encoding import encode
from swajax.data.loaded_table import LoadedTable
from swajax.data.loading import divide_table
from swajax.data.made_rows import make_rows
from swajax.data.problem import Problem, choose_objective, take_rows
from swajax.data.splits import Scaling
from swajax.data.tables import Table
from swajax.io import commands, configs
from swajax.model import evaluation
from swajax.model.front import Front
from swajax.search.config import SearchConfig
from swajax.search.imitation import NUM_MADE, pick_near
from swajax.search.run import find_front
from swajax.search.teachers import imitate

METHODS = ("labels", "in-sample", "out-of-fold", "mixed", "made-up", "file")
SEARCH = SearchConfig(
    max_weights=20,
    max_depth=2,
    num_starts=64,
    num_rounds=0,
    num_kept=4,
    max_perturbed=0,
    sources=("random", "linear"),
)
SIZE, MARGIN = 20, 0.01
SCORES = {
    "score": "picked network",
    "small": f"best of at most {SIZE} weights by validation",
    "teacher": "teacher",
}


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


class Teacher(NamedTuple):
    """Boosting for the encoded rows of a table."""

    scaling: Scaling

    def fit(self, rows: Problem) -> Callable[[Float[np.ndarray, "N I"]], np.ndarray]:
        """Fit a model; return its predictions as targets of a network."""
        classes = self.scaling.classes
        kind = (
            HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        )
        codes = rows.y.argmax(axis=1) if rows.y.shape[1] > 1 else rows.y[:, 0]
        model = kind(random_state=0).fit(rows.x, codes)
        if not classes:
            return lambda x: model.predict(x)[:, None]

        def predict(x: Float[np.ndarray, "N I"]) -> np.ndarray:
            found = np.zeros((len(x), len(classes)))
            found[:, model.classes_.astype(int)] = model.predict_proba(x)
            return found if len(classes) > 2 else found[:, 1:]

        return predict


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
    train, valid, folds = _make_rows(loaded, teacher, method, seed)
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
    small = [row for row in found.rows if row["num_weights"] <= SIZE] or found.rows[:1]
    small = min(small, key=lambda row: row["valid_loss"])
    return {
        "table": name,
        "seed": seed,
        "method": method,
        "seconds": seconds,
        "config": configs.to_dict(config),
        "score": found.rows[front.pick][f"{measure}_test"],
        "small": small[f"{measure}_test"],
        "num_weights": found.rows[front.pick]["num_weights"],
        "teacher": _score(teacher.fit(parts.train), parts.test, loaded.scaling),
        "front": found.rows,
    }


def _make_rows(
    loaded: LoadedTable, teacher: Teacher, method: str, seed: int
) -> tuple[Problem, Problem | None, Int[np.ndarray, " N"] | None]:
    """Return training and validation rows, and folds, with the targets of a method."""
    train, folds = loaded.dataset.train, loaded.folds
    if method == "labels":
        return train, None, folds
    if method == "in-sample":
        return train._replace(y=teacher.fit(train)(train.x)), None, folds
    if method == "file":
        predict_fn, encoder = teacher.fit(train), loaded.scaling.encoder
        found = imitate(
            loaded,
            lambda frame: _to_answers(predict_fn(encode(encoder, frame)), loaded),
            num_made=NUM_MADE,
            seed=seed,
        )
        return found.train, found.valid, None
    made, made_folds = _make_up(loaded, seed)
    y, made_y = np.zeros(train.y.shape), np.zeros((len(made), train.y.shape[1]))
    for fold in np.unique(folds):
        is_held = folds == fold
        predict_fn = teacher.fit(take_rows(train, ~is_held))
        y[is_held] = predict_fn(train.x[is_held])
        made_y[made_folds == fold] = predict_fn(made[made_folds == fold])
    if method == "mixed":
        return train._replace(y=(y + train.y) / 2), None, folds
    train = train._replace(y=y)
    if method == "out-of-fold":
        return train, None, folds
    weight = np.full(len(made), train.weight.sum() / len(made))
    both = zip(train, Problem(made, made_y, weight), strict=True)
    folds = np.concatenate([folds, made_folds])
    return Problem(*map(np.concatenate, both)), None, folds


def _make_up(
    loaded: LoadedTable, seed: int
) -> tuple[Float[np.ndarray, "M I"], Int[np.ndarray, " M"]]:
    """Return made-up rows between rows of the same fold, and their folds."""
    train, folds = loaded.dataset.train, loaded.folds
    frame, encoder = loaded.table.frame.iloc[loaded.rows[0]], loaded.scaling.encoder
    made, numbers = [], np.unique(folds)
    for fold in numbers:
        own, num = folds == fold, NUM_MADE // len(numbers)
        rows = make_rows(frame[own], train.x[own], num, seed=seed)
        made.append(encode(encoder, rows))
    return np.concatenate(made), np.repeat(numbers, [len(one) for one in made])


def _to_answers(y: np.ndarray, loaded: LoadedTable) -> np.ndarray:
    """Return targets of a network as the predictions of a model."""
    scaling = loaded.scaling
    return y * scaling.target_scale + scaling.target_offset


def _without_made_rows(front: Front, num_rows: int) -> Front:
    """Leave out the held-out rows that are no rows of the table."""
    if front.held_rows is None:
        return front
    is_kept = front.held_rows < num_rows
    outputs, rows = front.held_outputs[:, is_kept], front.held_rows[is_kept]
    return front._replace(held_outputs=outputs, held_rows=rows)


def _score(
    predict_fn: Callable[[np.ndarray], np.ndarray], test: Problem, scaling: Scaling
) -> float:
    """Return R2 or accuracy of the teacher on the test rows."""
    found = predict_fn(test.x)
    if not scaling.classes:
        return float(r2_score(test.y, found))
    if found.shape[1] == 1:
        return float(np.mean((found > 0.5) == (test.y > 0.5)))
    return float(np.mean(found.argmax(axis=1) == test.y.argmax(axis=1)))


def _describe(run: Run) -> str:
    return f"{run['score']:.3f} with {run['num_weights']} weights"


def format_table(runs: RunFile) -> str:
    """Return the mean test scores of the methods, and their gain over the labels."""
    found = pd.DataFrame(
        [
            {name: run[name] for name in ("table", "seed", "method", *SCORES)}
            for run in runs.values()
        ]
    )
    pairs = found.set_index(["table", "seed", "method"])
    parts = []
    for score, title in list(SCORES.items())[:2]:
        wide = pairs[score].unstack("method")
        names = [name for name in METHODS if name in wide]
        gains = wide[names].sub(wide["labels"], axis=0) if "labels" in names else wide
        rows = [[name, *_format_gains(wide[name], gains[name])] for name in names]
        header = [title, "mean score", "mean gain", "gains", "losses", "pairs"]
        parts.append(markdown.format_rows(header, rows))
    mean = pairs["teacher"].groupby(["table", "seed"]).mean().mean()
    return "\n\n".join(parts) + f"\n\nMean score of the teacher: {mean:.3f}"


def _format_gains(scores: pd.Series, gains: pd.Series) -> list[str]:
    """Return mean score and gain, and the numbers of gains and losses above 0.01."""
    return [
        f"{scores.mean():.4f}",
        f"{gains.mean():+.4f}",
        str(int((gains > MARGIN).sum())),
        str(int((gains < -MARGIN).sum())),
        str(int(gains.notna().sum())),
    ]


if __name__ == "__main__":
    name = "python -m figures.compress.teachers"
    sys.exit(commands.run_command(main, TeachersCommand, name=name))
