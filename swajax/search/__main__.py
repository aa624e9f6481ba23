"""Command `python -m swajax.search`: find tiny networks for a table."""

import dataclasses
import re
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import numpy as np
import tyro
from tqdm import tqdm

from swajax.data.encoding import input_names
from swajax.data.messages import listed, shown
from swajax.data.partitions import SplitKind, check_split
from swajax.data.problem import MAX_ROWS, choose_objective
from swajax.data.splits import (
    Dataset,
    Scaling,
    count_rows,
    split_into_folds,
    split_table,
)
from swajax.data.tables import Table, load_table
from swajax.io import commands, runlog
from swajax.model import evaluation
from swajax.model.front import Front
from swajax.search import pool as pools
from swajax.search.config import SearchConfig
from swajax.search.pool import Pool
from swajax.search.run import SearchProgress, find_front
from swajax.search.sources.descent import BATCH_ROWS

MANY_ROWS = (
    f"networks are fitted and chosen on {MAX_ROWS:,} random rows per part; "
    f"descents use mini-batches of {BATCH_ROWS:,}; all test rows are evaluated"
)

LAST_SHARE = 0.2  # of rows in time order, for validation


@dataclasses.dataclass(frozen=True)
class SearchCommand:
    """Find tiny networks for a table: a front of accuracy against size.

    The table may have any number of features; the target is a number or a class.
    """

    data: str
    """CSV, TSV, Parquet or NPZ file, or a built-in table: diabetes, iris, wine,
    breast_cancer, digits, himmelblau and others"""
    target: str | None = None
    """column to predict [the default of a built-in table]"""
    features: tuple[str, ...] | None = None
    """columns to predict from [all others]"""
    task: Literal["auto", "regression", "classification"] = "auto"
    """whether the target is a number or a class"""
    weight: str | None = None
    """column with the weights of the rows"""
    class_weight: Literal["balanced"] | None = None
    """balanced: all classes have the same total weight"""
    search: Annotated[SearchConfig, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=SearchConfig
    )
    """limits of the networks, effort and sources"""
    valid_share: float | None = None
    """share of the rows that choose networks instead of a cross-validation
    [none; 0.2 with split last]"""
    test_share: float = 0.2
    """share of the rows for the test error"""
    split: SplitKind = "random"
    """last, for rows in time order: the last rows of the table test, the rows before
    them validate, and the first rows train"""
    group: str | None = None
    """column of groups, such as patients or days: all rows of a group are in the same
    part of the split; the column is no feature"""
    seed: int = 0
    """seed of the row split and of the random starts"""
    time_budget: float | None = None
    """seconds after which the search stops and writes the best networks so far"""
    out: Path | None = None
    """folder for the results, which must be new or empty [runs/search-NAME-NUMBER]"""

    def __post_init__(self) -> None:
        """Check seed and budget."""
        commands.check_seed_and_budget(self.seed, self.time_budget)


def main(config: SearchCommand) -> None:
    """Search, print the table of the front, then write all results."""
    commands.use_compilation_cache()
    table = load_table(
        config.data,
        target=config.target,
        features=config.features,
        task=config.task,
        weight=config.weight,
        group=config.group,
    )
    dataset, folds, scaling, notes = _split(table, config)
    objective = choose_objective(scaling.classes)
    config.search.check(dataset.train.x.shape[1], objective)
    folder = runlog.make_run_folder(
        config.out or _default_folder(config), config, is_resumable=False
    )
    notes = (*table.notes, *notes)
    if max(count_rows(dataset).values()) > MAX_ROWS:
        notes += (MANY_ROWS,)
    sys.stdout.write(_describe(table, dataset, scaling, notes))
    begin = time.monotonic()
    with tqdm(unit="block", disable=None) as bar:
        front = find_front(
            jax.random.key(config.seed),
            dataset.train,
            dataset.valid,
            folds=folds,
            objective=objective,
            config=config.search,
            time_budget=config.time_budget,
            callback=_make_callback(bar, folder, config.search.max_weights),
        )
    seconds = time.monotonic() - begin
    outcome = evaluation.tabulate(
        front, dataset, scaling, activations=config.search.activations
    )
    picked = _explain_pick(front, config.search.max_error)
    sys.stdout.write(
        f"{seconds:.0f} s\n"
        f"{evaluation.format_table(outcome, target=table.target_name, picked=picked)}\n"
    )
    from swajax.report import run_folder  # matplotlib is slow to import

    run_folder.write(
        folder,
        config,
        front,
        outcome,
        table=table,
        dataset=dataset,
        scaling=scaling,
        activations=config.search.activations,
        about={"notes": notes, "seconds": seconds},
    )
    sys.stdout.write(
        f"report.html, networks, results.json and pictures are in {folder}\n"
    )


def _split(
    table: Table, config: SearchCommand
) -> tuple[Dataset, np.ndarray | None, Scaling, tuple[str, ...]]:
    """Split the table into parts, or into folds and a test part."""
    check_split(config.split, has_groups=table.group is not None)
    options = {"seed": config.seed, "test_share": config.test_share}
    options["class_weight"] = config.class_weight
    share = config.valid_share
    if share is None and config.split == "random":
        return split_into_folds(table, **options)
    share = LAST_SHARE if share is None else share
    dataset, scaling, notes = split_table(
        table, valid_share=share, split=config.split, **options
    )
    return dataset, None, scaling, notes


def _default_folder(config: SearchCommand) -> Path:
    stem = re.sub(r"[^\w-]+", "-", Path(config.data).stem).strip("-")
    return runlog.default_run_folder(f"search-{stem}")


def _describe(
    table: Table, dataset: Dataset, scaling: Scaling, notes: tuple[str, ...]
) -> str:
    names = input_names(scaling.encoder)
    counts = count_rows(dataset)
    verbs = {"train": "train", "valid": "validate", "test": "test"}
    classes = f" ({len(table.classes)} classes)" if table.classes else ""
    lines = [
        f"{table.source}: {shown(table.target_name)}{classes} from {len(names)} "
        f"inputs: {listed(names, 8)}; "
        f"{'/'.join(map(str, counts.values()))} rows to "
        f"{'/'.join(verbs[part] for part in counts)}",
        *(f"note: {note}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


def _make_callback(
    bar: tqdm, folder: Path, max_weights: int
) -> Callable[[SearchProgress], None]:
    """Log each block of work, move the bar, and print the first networks found."""
    is_first = is_logged = True
    bar.set_postfix(stage="sources")

    def callback(progress: SearchProgress) -> None:
        nonlocal is_first, is_logged
        pool = progress.pool
        if pool is None:
            bar.set_postfix(stage=progress.stage, network_steps=progress.network_steps)
            return
        small = pool.take(pool.num_weights <= max_weights)
        if is_first and len(small.loss):
            tqdm.write(_format_first(progress.seconds, small))
            is_first = False
        best = float(pool.loss.min(initial=np.inf))
        line = {"stage": progress.stage, "seconds": progress.seconds, "loss": best}
        line |= {"num_networks": len(pool.loss)}
        is_logged = is_logged and _log(folder, line)
        bar.total = progress.num_blocks
        bar.set_postfix(stage=progress.stage, loss=f"{best:.4g}", refresh=False)
        bar.update()

    return callback


def _log(folder: Path, line: dict[str, Any]) -> bool:
    """Append a line to the log; warn and return False if that fails, as on a full disk.

    The search continues: the table of its front can still be printed.
    """
    try:
        runlog.log_metrics(folder, line)
    except OSError as error:
        warnings.warn(f"the log ends: {commands.describe_error(error)}", stacklevel=2)
        return False
    return True


def _format_first(seconds: float, pool: Pool) -> str:
    """Format the first networks: sizes and training losses."""
    front = pools.front_of(pool, pool.loss, np.zeros(len(pool.loss)))
    cells = [
        f"{size}: {loss:.3g}"
        for size, loss in zip(front.num_weights, front.train_loss, strict=True)
    ]
    return (
        f"after {seconds:.0f} s, weights: training loss of the networks found so far\n"
        f"  {', '.join(cells)}"
    )


def _explain_pick(front: Front, max_error: float | None) -> str:
    """Explain the pick."""
    if max_error is None and front.held_rows is not None:
        return "small, and near the best; -: a smaller one is better"
    if max_error is None:
        return "smallest within one standard error of the best"
    if front.valid_loss[front.pick] <= max_error:
        return f"smallest with a validation loss of at most {max_error:g}"
    return f"the best; none has a validation loss of at most {max_error:g}"


if __name__ == "__main__":
    commands.run_as_process(
        main, SearchCommand, name="python -m swajax.search", is_long=True
    )
