"""Every method on every task: `python -m figures.quality`.

One JSON file a run under OUT/runs; what is there is kept, so that it can be stopped and
gone on with at any time. All methods of a task run one after another, and tasks of all
groups in turns, seed by seed: what is there gives a balanced picture at any time.
"""

import dataclasses
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jax
import numpy as np
import tyro

from figures.common import results
from figures.quality import methods, package_tables, runs, scores, tables, tasks
from figures.quality.settings import Settings
from swajax.data.messages import did_you_mean
from swajax.io import commands
from swajax.latent_search import DescentConfig
from swajax.search.config import SearchConfig

# Compiled programs take some of the 65,530 memory maps that Linux gives a process.
MAX_MAPS = 40_000

QUICK_TASKS = ("sphere", "iris")
QUICK_METHODS = ("default", "explore-direct")
QUICK_SETTINGS = Settings(
    seconds=1.0,
    pipeline=SearchConfig(max_weights=12, num_starts=8, num_rounds=0, max_depth=1),
    search=DescentConfig(num_starts=1, num_screened=4, sparsity_weights=(1e-3,)),
)


@dataclasses.dataclass(frozen=True)
class QualityCommand:
    """Compare the search with its rivals, at equal seconds of work."""

    out: Path | None = None
    """folder for the runs, tables and pictures; what is there is kept
    [figures/out/quality; quick: a new temporary folder]"""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=Settings
    )
    """budgets and limits"""
    seeds: int = 5
    """seeds of each function and table"""
    planted_seeds: int = 10
    """seeds of each kind of planted teacher"""
    groups: tuple[Literal["planted", "functions", "tables"], ...] = tasks.GROUPS
    """groups of tasks"""
    tasks: tuple[str, ...] | None = None
    """tasks by name; by default all of the groups"""
    methods: tuple[str, ...] | None = None
    """what is compared; by default all but those that need --paper"""
    minutes: float | None = None
    """begin no run after so many minutes; the summary then shows what is there"""
    retry: bool = False
    """run again what has failed or was late"""
    summarize: bool = False
    """only make tables and pictures of what is there"""
    beside: Path | None = None
    """folder of another comparison, whose runs of the same tasks and seeds are in the
    tables too"""
    part: int = 1
    """of `parts`: which of the runs this process makes"""
    parts: int = 1
    """so many processes share the runs; give each a core of its own"""
    quick: bool = False
    """tiny searches, by default two methods on two tasks, to see that all runs"""

    def __post_init__(self) -> None:
        """Reject names and numbers that cannot be."""
        for name in ("seeds", "planted_seeds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not 1 <= self.part <= self.parts:
            raise ValueError(
                f"part must be in 1..parts, got {self.part} of {self.parts}"
            )
        known = [task for names in tasks.list_names().values() for task in names]
        _check_names("task", self.tasks or (), known)
        _check_names("method", self.methods or (), methods.NAMES)


class Planned(NamedTuple):
    """One run to be made."""

    task: str
    seed: int
    method: str


def main(config: QualityCommand) -> None:
    """Every run that is not there yet, then the summary."""
    config = _complete(config)
    commands.use_compilation_cache()
    if not config.summarize:
        methods.check(config.methods, config.settings)
        missing = list(_find_missing(config))
        if {planned.task for planned in missing} & set(package_tables.LOADERS):
            package_tables.find_folder()  # hours of other runs come first
        _run_all(config, missing)
    sys.stdout.write(tables.write(config.out, config.beside))


def _complete(config: QualityCommand) -> QualityCommand:
    """What was left to the defaults, which depend on `quick`."""
    if not config.quick:
        return dataclasses.replace(
            config,
            out=config.out or Path("figures/out/quality"),
            methods=config.methods or methods.DEFAULTS,
        )
    return dataclasses.replace(
        config,
        # A new one: runs of an earlier time would be kept, and nothing tried.
        out=config.out or Path(tempfile.mkdtemp(prefix="swajax-quality-")),
        settings=QUICK_SETTINGS,
        seeds=1,
        planted_seeds=1,
        tasks=config.tasks or QUICK_TASKS,
        methods=config.methods or QUICK_METHODS,
    )


def plan(config: QualityCommand) -> Iterator[Planned]:
    """All runs, in an order that is balanced wherever it ends."""
    names = {
        group: [n for n in own if config.tasks is None or n in config.tasks]
        for group, own in tasks.list_names().items()
        if group in config.groups
    }
    # Tasks of a small group come as evenly among the others as those of a large one.
    places = sorted(
        ((index + 0.5) / len(own), group, name)
        for group, own in names.items()
        for index, name in enumerate(own)
    )
    for seed in range(max(config.seeds, config.planted_seeds)):
        for _, group, name in places:
            num = config.planted_seeds if group == "planted" else config.seeds
            if seed < num:
                for method in config.methods:
                    yield Planned(name, seed, method)


def _find_missing(config: QualityCommand) -> Iterator[Planned]:
    for planned in itertools.islice(plan(config), config.part - 1, None, config.parts):
        if not methods.is_applicable(planned.method, planned.task):
            continue
        path = results.make_path(config.out, *planned)
        if not path.exists():
            yield planned
            continue
        run = json.loads(path.read_bytes())
        if config.retry and run["status"] != "ok":
            yield planned
        else:
            settings = methods.describe(planned.method, planned.task, config.settings)
            results.check(path, run["settings"], settings)


def _run_all(config: QualityCommand, missing: list[Planned]) -> None:
    times: list[float] = []
    for index, planned in enumerate(missing, start=1):
        if config.minutes is not None and sum(times) >= 60 * config.minutes:
            break
        begin = time.monotonic()
        run = runs.run(*planned, config.settings)
        results.save(results.make_path(config.out, *planned), run)
        times.append(time.monotonic() - begin)
        left = np.mean(times) * (len(missing) - index)
        sys.stdout.write(
            f"[{index}/{len(missing)}] {_describe(run)}; {left / 3600:.1f} h left\n"
        )
        sys.stdout.flush()
        _drop_programs()


def _drop_programs() -> None:
    """Forget compiled programs when there are too many; the cache on disk has them."""
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MAX_MAPS:
        jax.clear_caches()


def _describe(run: dict[str, Any]) -> str:
    name = f"{run['task']} {run['seed']} {run['method']}"
    took = f"{run['work_seconds']:.0f} s of work, {run['wall_seconds']:.0f} s"
    if run["status"] != "ok":
        return f"{name}: {run['status']}, {run['message']}; {took}"
    errors = scores.measure(run).errors
    shown = ", ".join(f"{error:.2g} at {size}" for size, error in errors.items())
    return f"{name}: {shown}; {took}"


def _check_names(kind: str, names: tuple[str, ...], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(
                f"no {kind} {name!r}{did_you_mean(name, known)}; there are: "
                f"{', '.join(known)}"
            )


if __name__ == "__main__":
    sys.exit(
        commands.run_command(main, QualityCommand, name="python -m figures.quality")
    )
