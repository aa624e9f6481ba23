"""Tune the rivals: `python -m figures.quality.tuning`.

Single settings are changed, the same number per rival, on seeds that the comparison
does not use.
"""

import dataclasses
import functools
import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from figures.common import results, tables
from figures.common.checks import check_above_zero, check_names
from figures.common.clock import WorkClock
from figures.common.results import Run, RunFile
from figures.quality import methods, rivals, runs, scores, tasks
from figures.quality.settings import Settings
from swajax.io import commands, configs, runlog

# Two settings of each rival, with a value below and one above the default.
TRIED: dict[str, dict[str, tuple[float, ...]]] = {
    "direct": {"explore_share": (0.2, 0.6), "descent.learning_rate": (0.03, 0.3)},
    "architectures": {"num_starts": (1, 16), "lm_steps": (30, 120)},
    "magnitude": {"learning_rate": (0.002, 0.015), "num_networks": (8, 128)},
    "l0": {"learning_rate": (0.007, 0.06), "num_networks": (8, 128)},
    "darts-admm": {"learning_rate": (0.002, 0.015), "num_networks": (8, 128)},
    "sklearn": {"max_iter": (100, 1000), "num_networks": (4, 64)},
}
DEFAULT = "default"
FILE_NAME = "tuning.jsonl"


@dataclasses.dataclass(frozen=True)
class TuningCommand:
    """Change single settings of the rivals."""

    out: Path | None = None
    """folder for tuning.jsonl and tuning.md; existing trials are kept
    [figures/quality; quick: a new temporary folder]"""
    methods: tuple[str, ...] = tuple(TRIED)
    """rivals"""
    tasks: tuple[str, ...] = ("leaky-relu-3x35", "goldstein-price", "breast_cancer")
    """tasks, by default one of each group"""
    seed: int = 1000
    """seed of the tasks, which the comparison does not use"""
    seconds: float = 10.0
    """seconds of work per trial, without compilation"""
    summarize: bool = False
    """run nothing; rewrite the table from existing trials"""
    quick: bool = False
    """run short trials of one rival to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        known = [name for names in tasks.list_names().values() for name in names]
        check_names("method", self.methods, list(TRIED))
        check_names("task", self.tasks, known)
        check_above_zero(self, "seconds")


class Trial(NamedTuple):
    """Rival with one changed setting, or with its default settings."""

    method: str
    setting: str | None = None
    value: float | None = None

    @property
    def change(self) -> str:
        """Return a label of the change."""
        return DEFAULT if self.setting is None else f"{self.setting} = {self.value:g}"

    def make_config(self) -> Any:
        """Return the configuration of the rival with the change."""
        config = rivals.RIVALS[self.method].config_class()
        if self.setting is None:
            return config
        *parts, last = self.setting.split(".")
        change = {last: self.value}
        for part in reversed(parts):
            change = {part: dataclasses.replace(getattr(config, part), **change)}
        return dataclasses.replace(config, **change)


def plan(names: Sequence[str]) -> Iterator[Trial]:
    """Yield the trials of each rival, its default settings first."""
    for method in names:
        yield Trial(method)
        for setting, values in TRIED[method].items():
            for value in values:
                yield Trial(method, setting, value)


def main(config: TuningCommand) -> None:
    """Make the missing trials, then write the table."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "quality", is_quick=config.quick)
    if config.quick:
        small = {"methods": config.methods[-1:], "tasks": config.tasks[:1]}
        config = dataclasses.replace(config, seconds=0.1, **small)
    kept = RunFile(out / FILE_NAME)
    if not config.summarize:
        planned = [
            (
                _name(trial, task, config),
                functools.partial(run_trial, trial, task, config),
            )
            for trial, task in itertools.product(plan(config.methods), config.tasks)
            if not kept.has(_name(trial, task, config), describe(trial, config))
        ]
        results.make_missing(kept, planned)
    table = format_table(list(kept.values()))
    tables.write(out / "tuning.md", table)
    sys.stdout.write(f"{table}\n")


def _name(trial: Trial, task: str, config: TuningCommand) -> str:
    """Return the name of a trial in the file."""
    change = trial.change.replace(" = ", "-").replace(" ", "-")
    return results.make_name(task, config.seed, f"{trial.method}.{change}")


def describe(trial: Trial, config: TuningCommand) -> dict[str, Any]:
    """Return all settings that a trial depends on."""
    method = configs.to_dict(trial.make_config())
    return Settings(seconds=config.seconds).describe() | {"method": method}


def run_trial(trial: Trial, name: str, config: TuningCommand) -> Run:
    """Run one trial; return its errors and hypervolume as in the comparison."""
    task = tasks.make_task(name, config.seed)
    config_of_rival, settings = trial.make_config(), Settings(seconds=config.seconds)
    with WorkClock() as clock:
        begin = clock()
        outcome = methods.run_rival(
            trial.method,
            runs.make_key(name, config.seed),
            task._replace(test=None),
            settings,
            clock,
            config=config_of_rival,
        )
        seconds = clock() - begin
    found = {"status": "ok", "teacher": None} | runs.evaluate(outcome, task)
    scored = scores.score_run(found)
    return {
        "task": name,
        "seed": config.seed,
        "method": trial.method,
        "change": trial.change,
        "settings": describe(trial, config),
        "versions": runlog.find_versions(),
        "work_seconds": seconds,
        "hypervolume": scored.hypervolume,
        "errors": scored.errors,
    }


def format_table(found: Sequence[Run]) -> str:
    """Return hypervolumes of all trials relative to the default settings."""
    methods_found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for run in found:
        by_task = methods_found[run["method"]].setdefault(run["change"], {})
        by_task[run["task"]] = max(run["hypervolume"], 1e-2)
    rows = []
    for method, changes in methods_found.items():
        for change, volumes in sorted(changes.items(), key=lambda c: c[0] != DEFAULT):
            mean = np.exp(np.mean(np.log(list(volumes.values()))))
            shared = sorted(volumes.keys() & changes.get(DEFAULT, {}).keys())
            ratios = [volumes[task] / changes[DEFAULT][task] for task in shared]
            ratio = f"{np.exp(np.mean(np.log(ratios))):.2f}" if ratios else ""
            rows.append([method, change, str(len(volumes)), f"{mean:.2f}", ratio])
    header = ["method", "settings", "tasks", "hypervolume", "relative to default"]
    return tables.format_rows(header, rows)


if __name__ == "__main__":
    name = "python -m figures.quality.tuning"
    sys.exit(commands.run_command(main, TuningCommand, name=name))
