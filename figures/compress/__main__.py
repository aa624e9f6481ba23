"""Measure how small given networks can be made.

    python -m figures.compress --folder TABLES
    python -m figures.compress --summarize

One run per network in `walks.jsonl`, in which interrupted studies continue.
"""

import dataclasses
import functools
import itertools
import sys
from pathlib import Path

import numpy as np

from figures.common import results
from figures.common import tables as markdown
from figures.common.checks import check_above_zero, check_at_least, check_names
from figures.common.quick import QUICK_SEARCH
from figures.common.results import RunFile
from figures.compress import walks
from figures.tables.__main__ import find_tables
from swajax.io import commands
from swajax.refine.walk_down import Goal
from swajax.search.config import SearchConfig

DEEP = SearchConfig(max_weights=100, num_starts=32, num_rounds=0, weight_decay=1e-7)
LARGE = (60, 64, 64, 1), Goal(256, 128, 16, 3)  # 8,064 weights without biases
QUICK_LARGE = (4, 12, 1), Goal(20, 10, 4, 3)
TABLE = SearchConfig(max_weights=64, num_starts=64, num_rounds=0)


@dataclasses.dataclass(frozen=True)
class CompressCommand:
    """Measure how small given networks can be made."""

    out: Path | None = None
    """folder for runs and tables; existing runs are kept [figures/compress; quick: a
    new temporary folder]"""
    folder: Path | None = None
    """folder of CSV files with an index.csv [only the tables of scikit-learn]"""
    tables: tuple[str, ...] | None = None
    """names of the tables [all]"""
    num_seeds: int = 1
    """number of random splits of each table, and of deep networks"""
    time_budget: float = 20.0
    """CPU seconds of each search of a table"""
    summarize: bool = False
    """do not run; write the table again from existing runs"""
    quick: bool = False
    """run tiny searches to test the study"""

    def __post_init__(self) -> None:
        """Check numbers."""
        check_at_least(1, self, "num_seeds")
        check_above_zero(self, "time_budget")


def main(config: CompressCommand) -> None:
    """Make the missing runs, then write the table."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "compress", is_quick=config.quick)
    runs = RunFile(out / "walks.jsonl")
    if not config.summarize:
        results.make_missing(runs, _plan(config, runs))
    if not runs:
        raise ValueError(f"{out}: no runs to summarize")
    markdown.write(out / "walks.md", _format(runs))


def _plan(config: CompressCommand, runs: RunFile) -> list:
    known = find_tables(config.folder)
    names = tuple(known) if config.tables is None else config.tables
    check_names("table", names, tuple(known))
    deep, table = (QUICK_SEARCH,) * 2 if config.quick else (DEEP, TABLE)
    large = QUICK_LARGE if config.quick else LARGE
    planned = [("large", functools.partial(walks.walk_large, *large))]
    for seed in range(config.num_seeds):
        planned.append((f"deep.{seed}", functools.partial(walks.walk_deep, deep, seed)))
    for seed, name, method in itertools.product(
        range(config.num_seeds), names, walks.METHODS
    ):
        options = known[name], seed, table, config.time_budget
        run = results.make_name(name, seed, method)
        planned.append((run, functools.partial(walks.METHODS[method], *options)))
    return [(name, make_fn) for name, make_fn in planned if name not in runs]


def _format(runs: RunFile) -> str:
    """Return a row per network: weights before and after, and what was measured."""
    rows = []
    for name, run in runs.items():
        if "sizes" in run:
            good = np.array(run["losses"]) <= walks.MARGIN
            left = str(min(np.array(run["sizes"])[good], default="-"))
            note = f"{run['cpu_seconds']:.0f} s of CPU"
        elif "left" in run:
            left = str(run["left"])
            note = f"{run['seconds']:.0f} s, {run['cpu_seconds']:.0f} s of CPU, "
            note += f"{run['megabytes']:.0f} MB"
        else:
            left = str(run["size"] or "-")
            note = f"score {run['score']:.3f}, best of the front {run['best']:.3f}"
        rows.append([name, str(run["weights"]), left, note])
    text = markdown.format_rows(["network", "weights", "left", "measured"], rows)
    sizes = [run["size"] or np.inf for name, run in runs.items() if _is_walk(name)]
    if sizes:
        text += f"\n\nMedian size of the walks of tables: {np.median(sizes):.0f}"
    return text


def _is_walk(name: str) -> bool:
    return name.endswith(".walk")


if __name__ == "__main__":
    sys.exit(
        commands.run_command(main, CompressCommand, name="python -m figures.compress")
    )
