"""Compare weight decays on small classification tables.

`python -m figures.quality.decay` runs the default search with each decay on several
splits of each table.
"""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from figures.common import results, tables
from figures.common.checks import check_at_least, check_names
from figures.common.results import Run, RunFile
from figures.quality import __main__ as quality
from figures.quality import methods, runs, scores, tasks
from figures.quality.scores import SIZES
from figures.quality.settings import Settings
from swajax.io import commands

ABOUT = (
    "Test loss of the default search as a share of a constant's, by weight decay: "
    "means of the runs and the worst of them, and the mean hypervolume."
)
FILE_NAME = "decay.jsonl"


@dataclasses.dataclass(frozen=True)
class DecayCommand:
    """Compare weight decays of the default search on classification tables."""

    out: Path | None = None
    """folder for decay.jsonl and decay.md; existing runs are kept
    [figures/quality; quick: a new temporary folder]"""
    decays: tuple[str, ...] = ("1e-4", "1e-3", "1e-2")
    """weight decays: half of this times the squared weights is added to the loss"""
    tables: tuple[str, ...] = ("iris", "wine", "breast_cancer")
    """classification tables"""
    seeds: int = 4
    """number of splits per table"""
    settings: Settings = dataclasses.field(default_factory=Settings)
    """budgets and limits"""
    summarize: bool = False
    """run nothing; rewrite the table from existing runs"""
    quick: bool = False
    """run one tiny search to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_names("table", self.tables, tasks.list_names()["tables"])
        check_at_least(1, self, "seeds")
        for decay in self.decays:
            if not np.isfinite(float(decay)) or float(decay) < 0:
                raise ValueError(f"decays must be numbers >= 0, got {decay}")


def main(config: DecayCommand) -> None:
    """Make the missing runs, then write the table."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "quality", is_quick=config.quick)
    if config.quick:
        small = {"decays": config.decays[:1], "tables": config.tables[:1], "seeds": 1}
        config = dataclasses.replace(config, settings=quality.QUICK_SETTINGS, **small)
    kept = RunFile(out / FILE_NAME)
    if not config.summarize:
        results.make_missing(kept, _plan(config, kept))
    table = format_table(group(list(kept.values())))
    tables.write(out / "decay.md", f"{ABOUT}\n\n{table}")
    sys.stdout.write(f"{table}\n")


def _plan(config: DecayCommand, kept: RunFile) -> list:
    """Return the name and function of each missing run."""
    planned = []
    for decay, name, seed in itertools.product(
        config.decays, config.tables, range(config.seeds)
    ):
        settings = _with_decay(config.settings, float(decay))
        label = f"{decay}.{results.make_name(name, seed, 'default')}"
        if not kept.has(label, methods.describe("default", name, settings)):
            make = functools.partial(_run_search, name, seed, settings, decay)
            planned.append((label, make))
    return planned


def _run_search(name: str, seed: int, settings: Settings, decay: str) -> Run:
    return runs.run_method(name, seed, "default", settings) | {"decay": decay}


def group(found: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs by ascending decay."""
    decays = sorted({run["decay"] for run in found}, key=float)
    return {decay: [run for run in found if run["decay"] == decay] for decay in decays}


def format_table(found: Mapping[str, Sequence[Run]]) -> str:
    """Return mean and worst relative test losses and mean hypervolumes by decay.

    Means are arithmetic, so that single large errors count.
    """
    rows = []
    for decay, group_runs in found.items():
        each = [scored for run in group_runs if (scored := scores.score_run(run))]
        if not each:  # all failed
            continue
        errors = np.array([[one.errors[size] for size in SIZES] for one in each])
        means = [f"{mean:.3f}" for mean in errors.mean(axis=0)]
        area = np.mean([one.hypervolume for one in each])
        worst = f"{errors[:, -1].max():.2f}"
        rows.append([decay, f"{len(each)}", *means, worst, f"{area:.2f}"])
    header = ["weight decay", "runs", *(f"at {size}" for size in SIZES)]
    return tables.format_rows([*header, f"worst at {SIZES[-1]}", "hypervolume"], rows)


def _with_decay(settings: Settings, decay: float) -> Settings:
    pipeline = dataclasses.replace(settings.pipeline, weight_decay=decay)
    return dataclasses.replace(settings, pipeline=pipeline)


if __name__ == "__main__":
    name = "python -m figures.quality.decay"
    sys.exit(commands.run_command(main, DecayCommand, name=name))
