"""Run every method on every task: `python -m figures.quality`.

The methods of a task run consecutively, tasks of all groups alternate, and seeds come
in order, so that partial results are balanced.
"""

import dataclasses
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import jax
import numpy as np
import tyro

from figures.common import results
from figures.common.checks import check_at_least, check_names
from figures.common.quick import QUICK_SEARCH
from figures.common.results import Run, RunFile
from figures.quality import methods, package_tables, scores, tables, tasks
from figures.quality import runs as runs_lib
from figures.quality.settings import Settings
from swajax.io import commands
from swajax.latent_search import DescentConfig

# Compiled programs use memory maps, which Linux limits to 65,530 per process.
MAX_MAPS = 40_000

QUICK_TASKS = ("sphere", "iris")
QUICK_METHODS = ("default", "explore-direct-steps")
QUICK_SETTINGS = Settings(
    seconds=1.0,
    network_steps=50,
    pipeline=QUICK_SEARCH,
    descent=DescentConfig(
        num_starts=1, num_screened=2, sparsity_weights=(1e-3,), chunk_steps=25
    ),
)


@dataclasses.dataclass(frozen=True)
class QualityCommand:
    """Compare the search with its rivals at equal seconds of work."""

    out: Path | None = None
    """folder for runs, tables and pictures; existing runs are kept
    [figures/quality; quick: a new temporary folder]"""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=Settings
    )
    """budgets and limits"""
    seeds: int = 5
    """number of seeds per function and table"""
    planted_seeds: int = 10
    """number of seeds per kind of planted teacher"""
    groups: tuple[Literal["planted", "functions", "tables"], ...] = tasks.GROUPS
    """groups of tasks"""
    tasks: tuple[str, ...] | None = None
    """tasks by name [all tasks of the groups]"""
    methods: tuple[str, ...] | None = None
    """methods by name [all except those that need --paper or other packages]"""
    minutes: float | None = None
    """start no run after this number of minutes [no limit]"""
    retry: bool = False
    """repeat runs that failed or were late"""
    summarize: bool = False
    """run nothing; redraw tables and pictures from existing runs"""
    beside: Path | None = None
    """folder of other runs, which the tables show for equal tasks and seeds"""
    part: int = 1
    """index of this process, from 1 to `parts`"""
    parts: int = 1
    """number of processes that share the runs, one core each"""
    quick: bool = False
    """run tiny searches, by default two methods on two tasks, to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_at_least(1, self, "seeds", "planted_seeds")
        if not 1 <= self.part <= self.parts:
            raise ValueError(
                f"part must be in 1..parts, got {self.part} of {self.parts}"
            )
        known = [task for names in tasks.list_names().values() for task in names]
        check_names("task", self.tasks or (), known)
        check_names("method", self.methods or (), methods.NAMES)


class Planned(NamedTuple):
    """A planned run."""

    task: str
    seed: int
    method: str

    @property
    def name(self) -> str:
        """Name in the file of runs."""
        return results.make_name(*self)


def main(config: QualityCommand) -> None:
    """Make the missing runs, then write tables and pictures."""
    config = _complete(config)
    commands.use_compilation_cache()
    if not config.summarize:
        methods.check(config.methods, config.settings)
        runs = RunFile(config.out / results.FILE_NAME)
        missing = list(_find_missing(config, runs))
        if {planned.task for planned in missing} & set(package_tables.LOADERS):
            package_tables.find_folder()  # fail early, not after hours of other runs
        _run_all(config, runs, missing)
    sys.stdout.write(tables.write(config.out, config.beside))


def _complete(config: QualityCommand) -> QualityCommand:
    """Fill in the defaults that depend on `quick`."""
    out = results.choose_folder(config.out, "quality", is_quick=config.quick)
    if not config.quick:
        names = config.methods or methods.DEFAULTS
        return dataclasses.replace(config, out=out, methods=names)
    return dataclasses.replace(
        config,
        out=out,
        settings=QUICK_SETTINGS,
        seeds=1,
        planted_seeds=1,
        tasks=config.tasks or QUICK_TASKS,
        methods=config.methods or QUICK_METHODS,
    )


def plan(config: QualityCommand) -> Iterator[Planned]:
    """Yield all runs in an order by which partial results are balanced."""
    names = {
        group: [n for n in members if config.tasks is None or n in config.tasks]
        for group, members in tasks.list_names().items()
        if group in config.groups
    }
    # Spread the tasks of small and large groups evenly.
    ordered = sorted(
        ((index + 0.5) / len(members), group, name)
        for group, members in names.items()
        for index, name in enumerate(members)
    )
    for seed in range(max(config.seeds, config.planted_seeds)):
        for _, group, name in ordered:
            num = config.planted_seeds if group == "planted" else config.seeds
            if seed < num:
                for method in config.methods:
                    yield Planned(name, seed, method)


def _find_missing(config: QualityCommand, runs: RunFile) -> Iterator[Planned]:
    """Yield the runs of this part that are missing or must be repeated."""
    for planned in itertools.islice(plan(config), config.part - 1, None, config.parts):
        if not methods.is_applicable(planned.method, planned.task):
            continue
        run = runs.get(planned.name)
        if run is not None and config.retry and run["status"] != "ok":
            yield planned
            continue
        settings = methods.describe(planned.method, planned.task, config.settings)
        if not runs.has(planned.name, settings):
            yield planned


def _run_all(config: QualityCommand, runs: RunFile, missing: list[Planned]) -> None:
    """Execute runs until the minutes are used up."""
    times: list[float] = []
    for index, planned in enumerate(missing, start=1):
        if config.minutes is not None and sum(times) >= 60 * config.minutes:
            break
        begin = time.monotonic()
        run = runs_lib.run_method(*planned, config.settings)
        runs.add(planned.name, run)
        times.append(time.monotonic() - begin)
        left = np.mean(times) * (len(missing) - index)
        sys.stdout.write(
            f"[{index}/{len(missing)}] {_describe(run)}; {left / 3600:.1f} h left\n"
        )
        sys.stdout.flush()
        _drop_programs()


def _drop_programs() -> None:
    """Drop compiled programs if there are too many; the disk cache keeps them."""
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MAX_MAPS:
        jax.clear_caches()


def _describe(run: Run) -> str:
    name = f"{run['task']} {run['seed']} {run['method']}"
    took = f"{run['work_seconds']:.0f} s of work, {run['wall_seconds']:.0f} s"
    if run["status"] != "ok":
        return f"{name}: {run['status']}, {run['message']}; {took}"
    errors = scores.score_run(run).errors
    shown = ", ".join(f"{error:.2g} at {size}" for size, error in errors.items())
    return f"{name}: {shown}; {took}"


if __name__ == "__main__":
    sys.exit(
        commands.run_command(main, QualityCommand, name="python -m figures.quality")
    )
