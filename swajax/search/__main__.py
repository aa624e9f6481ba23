"""Command `python -m swajax.search`: find tiny networks for a table."""

import dataclasses
import functools
import re
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated, Literal

import jax
import tyro
from tqdm import tqdm

from swajax.data.built_in import NAMES
from swajax.data.loaded_table import LoadedTable
from swajax.data.loading import LAST_SHARE, divide_table, load_parts
from swajax.data.partitions import SplitKind
from swajax.data.problem import MAX_ROWS, choose_objective
from swajax.io import commands, files, hosts, processes, runlog
from swajax.io.configs import check_range
from swajax.io.devices import choose_devices
from swajax.model import evaluation
from swajax.model.front import Front
from swajax.network import LayeredNetwork
from swajax.objectives import Objective
from swajax.search import teachers
from swajax.search.config import SearchConfig
from swajax.search.display import describe, make_callback
from swajax.search.given_starts import read_given
from swajax.search.hosts import check_same
from swajax.search.imitation import NEAR_LOSS, NUM_MADE, pick_near
from swajax.search.run import find_front
from swajax.search.sources.descent import BATCH_ROWS
from swajax.search.start_files import load_starts

NAME = "python -m swajax.search"
REPORT_SECONDS, REPORT_SHARE = 1.5, 0.2  # of a time budget, at most, for the report
MANY_ROWS = (
    f"networks are fitted and chosen on {MAX_ROWS:,} random rows per part; "
    f"descents use mini-batches of {BATCH_ROWS:,}; all test rows are evaluated"
)


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
    start: Path | None = None
    """network to start from besides the sources, of any size: an ONNX file whose inputs
    are the features in order, or the folder of a search or its networks.safetensors, to
    resume; its activations are added to those of the search"""
    teacher: Path | None = None
    """ONNX model that the networks imitate on the rows of the table and on made-up rows
    between them; its inputs are the features, in the order of the table or by name.
    Without a target its prediction is the target"""
    num_made: int = NUM_MADE
    """number of made-up rows"""
    search: Annotated[SearchConfig, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=SearchConfig
    )
    """limits of the networks, effort and sources"""
    valid_share: float | None = None
    """share of the rows that choose networks instead of a cross-validation
    [none; 0.2 with split last or a teacher]"""
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
    """seconds of the whole command, start and compilation included, until the search
    stops and the best networks so far are written"""
    devices: int | None = None
    """number of devices that share the work; on a CPU, at most one per core [all]"""
    out: Path | None = None
    """folder for the results, which must be new or empty [runs/search-NAME-NUMBER]"""
    coordinator: str | None = None
    """to search on several hosts: host:port of the first process"""
    num_processes: int | None = None
    """number of processes, with --coordinator"""
    process_id: int | None = None
    """index of this process, from 0, with --coordinator"""

    def __post_init__(self) -> None:
        """Check seed, budget, devices and the options for several hosts."""
        hosts.check_options(self.coordinator, self.num_processes, self.process_id)
        commands.check_seed_and_budget(self.seed, self.time_budget)
        check_range("devices", self.devices, minimum=1)
        check_range("num_made", self.num_made, minimum=0)


def main(config: SearchCommand) -> None:
    """Search, print the table of the front, then write all results.

    Of several processes, only the first prints and writes.
    """
    options = (config.coordinator, config.num_processes, config.process_id)
    with hosts.joined(*options, name=NAME):
        _search(config)


def _search(config: SearchCommand) -> None:
    commands.use_compilation_cache()
    devices = choose_devices(config.devices)
    loaded = _load(config)
    table, dataset, scaling = loaded.table, loaded.dataset, loaded.scaling
    objective = choose_objective(scaling.classes)
    config.search.check(dataset.train.x.shape[1], objective)
    starts, notes = None, (*table.notes, *loaded.notes)
    if config.start is not None:
        config, starts, note = _load_starts(config, loaded, objective)
        notes += (note,)
    imitation = None
    if config.teacher is not None:
        options = {"num_made": config.num_made, "seed": config.seed}
        imitation = teachers.ask_teacher(config.teacher, loaded, **options)
        notes += (teachers.describe(config.teacher, config.num_made, scaling),)
    folder = runlog.make_run_folder(
        config.out or _default_folder(config), config, is_resumable=False
    )
    if max(loaded.num_rows.values()) > MAX_ROWS:
        notes += (MANY_ROWS,)
    is_writer = files.is_writer()
    if is_writer:
        sys.stdout.write(describe(loaded, notes))
    train, valid = (imitation or dataset)[:2]
    check_same((config.search, config.time_budget, config.seed), train, valid)
    begin = time.monotonic()
    with tqdm(unit="block", disable=None if is_writer else True) as bar:
        show = make_callback(bar, folder, config.search.max_weights)
        front = find_front(
            jax.random.key(config.seed),
            train,
            valid,
            folds=loaded.folds,
            objective=objective,
            config=config.search,
            starts=starts,
            time_budget=_search_seconds(config.time_budget),
            devices=devices,
            callback=show if is_writer else None,
        )
    if not is_writer:
        return
    if imitation is not None and config.search.max_error is None:
        front = pick_near(front)
    _report(config, front, loaded, imitation, notes, time.monotonic() - begin, folder)


def _report(
    config: SearchCommand,
    front: Front,
    loaded: LoadedTable,
    imitation: teachers.Imitation | None,
    notes: tuple[str, ...],
    seconds: float,
    folder: Path,
) -> None:
    """Evaluate the front, print its table and write all results."""
    outcome = _tabulate(front, loaded, config.search.activations, imitation)
    is_imitation = imitation is not None
    picked = _explain_pick(front, config.search.max_error, is_imitation=is_imitation)
    target = loaded.table.target_name
    text = evaluation.format_table(outcome, target=target, picked=picked)
    sys.stdout.write(f"{seconds:.0f} s\n{text}\n")
    from swajax.report import run_folder  # matplotlib is slow to import

    run_folder.write(
        folder,
        config,
        front,
        outcome,
        table=loaded.table,
        dataset=loaded.dataset,
        scaling=loaded.scaling,
        activations=config.search.activations,
        about={
            "notes": notes,
            "seconds": seconds,
            "num_rows": loaded.num_rows,
            "class_counts": loaded.class_counts.tolist(),
        },
    )
    sys.stdout.write(
        f"report.html, networks, results.json and pictures are in {folder}\n"
    )


def _search_seconds(time_budget: float | None) -> float | None:
    """Return the seconds for the search, without those for the report."""
    if time_budget is None:
        return None
    reserve = min(REPORT_SECONDS, REPORT_SHARE * time_budget)
    return processes.remaining_time(time_budget - reserve)


def _load(config: SearchCommand) -> LoadedTable:
    """Read the table and split it."""
    columns = {"features": config.features, "weight": config.weight}
    columns["group"] = config.group
    options = {
        "seed": config.seed,
        "valid_share": config.valid_share,
        "test_share": config.test_share,
        "class_weight": config.class_weight,
        "split": config.split,
    }
    if config.teacher is not None and config.valid_share is None:
        options["valid_share"] = LAST_SHARE  # without noise, folds are not needed
    has_target = config.target is not None or config.data in NAMES
    if config.teacher is not None and not has_target:
        table = teachers.predict_target(config.data, config.teacher, **columns)
        return divide_table(table, **options)
    target = {"target": config.target, "task": config.task}
    return load_parts(config.data, **target, **columns, **options)


def _load_starts(
    config: SearchCommand, loaded: LoadedTable, objective: Objective
) -> tuple[SearchCommand, list[LayeredNetwork], str]:
    """Return networks to start from, options with their activations, and a note."""
    found, note = load_starts(config.start, loaded)
    starts = read_given(found, loaded.dataset.train, objective)
    kinds = (*config.search.activations, *(k for one in starts for k in one.kinds))
    search = dataclasses.replace(config.search, activations=tuple(dict.fromkeys(kinds)))
    return dataclasses.replace(config, search=search), starts, note


def _tabulate(
    front: Front,
    loaded: LoadedTable,
    activations: tuple[str, ...],
    imitation: teachers.Imitation | None,
) -> evaluation.FrontTable:
    """Evaluate the front; on the sample if a large file cannot be read again."""
    tabulate = functools.partial(
        evaluation.tabulate,
        front,
        loaded.dataset,
        loaded.scaling,
        activations=activations,
        imitated=None if imitation is None else imitation.dataset,
    )
    try:
        return tabulate(read_test=loaded.read_test)
    except (ValueError, OSError) as error:
        if loaded.read_test is None:
            raise
        warnings.warn(
            f"test errors are those of {len(loaded.dataset.test.x):,} rows, as the "
            f"table cannot be read again: {commands.describe_error(error)}",
            stacklevel=2,
        )
        return tabulate()


def _default_folder(config: SearchCommand) -> Path:
    stem = re.sub(r"[^\w-]+", "-", Path(config.data).stem).strip("-")
    return runlog.default_run_folder(f"search-{stem}")


def _explain_pick(
    front: Front, max_error: float | None, *, is_imitation: bool = False
) -> str:
    """Explain the pick."""
    if max_error is None and is_imitation:
        return f"smallest with a validation loss of at most {NEAR_LOSS} above the best"
    if max_error is None and front.held_rows is not None:
        return "expected to predict best; -: a smaller one is better"
    if max_error is None:
        return "smallest within one standard error of the best"
    if front.valid_loss[front.pick] <= max_error:
        return f"smallest with a validation loss of at most {max_error:g}"
    return f"the best; none has a validation loss of at most {max_error:g}"


if __name__ == "__main__":
    commands.run_as_process(main, SearchCommand, name=NAME, is_long=True)
