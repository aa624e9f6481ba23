"""How the settings of the rivals were chosen.

    python -m figures.quality.tuning

They are changed one at a time, as many for each rival, on tasks whose seeds are not in
the comparison. A JSON file a trial under OUT/runs; what is there is kept.
"""

import dataclasses
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from figures.common import results
from figures.common.clock import WorkClock
from figures.quality import methods, rivals, runs, scores, tasks
from figures.quality.settings import Settings
from figures.quality.tables import format_rows
from swajax.data.messages import did_you_mean
from swajax.io import commands, configs, files, runlog

# Two settings of each, with a smaller and a larger value than its own.
TRIED: dict[str, dict[str, tuple[float, ...]]] = {
    "direct": {"explore_share": (0.2, 0.6), "search.learning_rate": (0.03, 0.3)},
    "architectures": {"num_starts": (1, 16), "lm_steps": (30, 120)},
    "magnitude": {"learning_rate": (0.002, 0.015), "num_networks": (8, 128)},
    "l0": {"learning_rate": (0.007, 0.06), "num_networks": (8, 128)},
    "darts-admm": {"learning_rate": (0.002, 0.015), "num_networks": (8, 128)},
    "sklearn": {"max_iter": (100, 1000), "num_networks": (4, 64)},
}
OWN = "as it is"


@dataclasses.dataclass(frozen=True)
class TuningCommand:
    """Change the settings of the rivals one at a time."""

    out: Path = Path("figures/out/quality/tuning")
    """folder; trials that are there are kept"""
    methods: tuple[str, ...] = tuple(TRIED)
    """rivals"""
    tasks: tuple[str, ...] = ("leaky-relu-3x35", "goldstein-price", "breast_cancer")
    """one of each group"""
    seed: int = 1000
    """of the tasks, none of the comparison's"""
    seconds: float = 10.0
    """of work for each trial, compilation not counted"""

    def __post_init__(self) -> None:
        """Reject unknown names and budgets that cannot be."""
        groups = tasks.list_names()
        all_tasks = [name for names in groups.values() for name in names]
        for kind, names, known in (
            ("method", self.methods, list(TRIED)),
            ("task", self.tasks, all_tasks),
        ):
            for name in names:
                if name not in known:
                    raise ValueError(f"no {kind} {name!r}{did_you_mean(name, known)}")
        if not self.seconds > 0:
            raise ValueError(f"seconds must be > 0, got {self.seconds}")


class Trial(NamedTuple):
    """A setting of a rival; none for its own settings."""

    method: str
    setting: str | None = None
    value: float | None = None

    @property
    def change(self) -> str:
        """What is changed."""
        return OWN if self.setting is None else f"{self.setting} = {self.value:g}"

    def make_config(self) -> Any:
        """The rival's configuration with the change."""
        config = rivals.METHODS[self.method].Config()
        if self.setting is None:
            return config
        *parts, last = self.setting.split(".")
        change = {last: self.value}
        for part in reversed(parts):
            change = {part: dataclasses.replace(getattr(config, part), **change)}
        return dataclasses.replace(config, **change)


def plan(names: Sequence[str]) -> Iterator[Trial]:
    """Trials of each rival, its own settings first."""
    for method in names:
        yield Trial(method)
        for setting, values in TRIED[method].items():
            for value in values:
                yield Trial(method, setting, value)


def main(config: TuningCommand) -> None:
    """Every trial that is not there yet, then the table."""
    commands.use_compilation_cache()
    for trial in plan(config.methods):
        for task in config.tasks:
            change = trial.change.replace(" = ", "-").replace(" ", "-")
            name = f"{trial.method}.{change}"
            path = results.make_path(config.out, task, config.seed, name)
            if not results.is_there(path, describe(trial, config)):
                results.save(path, measure(trial, task, config))
                sys.stdout.write(f"{path}\n")
                sys.stdout.flush()
    table = format_table(results.load(config.out))
    files.write_bytes(config.out / "tuning.md", f"{table}\n".encode())
    sys.stdout.write(f"{table}\n")


def describe(trial: Trial, config: TuningCommand) -> dict[str, Any]:
    """All that a trial depends on, besides its data."""
    own = configs.to_dict(trial.make_config())
    return configs.to_dict(Settings(seconds=config.seconds)) | {"method": own}


def measure(trial: Trial, name: str, config: TuningCommand) -> dict[str, Any]:
    """One trial: the measures of its front, as those of the comparison."""
    task = tasks.make_task(name, config.seed)
    own, settings = trial.make_config(), Settings(seconds=config.seconds)
    with WorkClock() as clock, results.interrupting():
        begin = clock()
        outcome = methods.run_baseline(
            trial.method,
            runs.make_key(name, config.seed),
            task._replace(test=None),
            settings,
            clock,
            config=own,
        )
        seconds = clock() - begin
    found = {"status": "ok", "teacher": None} | runs.judge(outcome, task)
    measured = scores.measure(found)
    return {
        "task": name,
        "seed": config.seed,
        "method": trial.method,
        "change": trial.change,
        "settings": describe(trial, config),
        "versions": runlog.find_versions(),
        "work_seconds": seconds,
        "hypervolume": measured.hypervolume,
        "errors": measured.errors,
    }


def format_table(found: Sequence[dict[str, Any]]) -> str:
    """Hypervolume of each trial relative to that of the rival's own settings."""
    methods_found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for run in found:
        own = methods_found[run["method"]].setdefault(run["change"], {})
        own[run["task"]] = max(run["hypervolume"], 1e-2)
    rows = []
    for method, changes in methods_found.items():
        for change, volumes in sorted(changes.items(), key=lambda c: c[0] != OWN):
            mean = np.exp(np.mean(np.log(list(volumes.values()))))
            shared = sorted(volumes.keys() & changes.get(OWN, {}).keys())
            ratios = [volumes[task] / changes[OWN][task] for task in shared]
            ratio = f"{np.exp(np.mean(np.log(ratios))):.2f}" if ratios else ""
            rows.append([method, change, str(len(volumes)), f"{mean:.2f}", ratio])
    header = ["method", "settings", "tasks", "hypervolume", "against its own"]
    return format_rows(header, rows)


if __name__ == "__main__":
    name = "python -m figures.quality.tuning"
    sys.exit(commands.run_command(main, TuningCommand, name=name))
