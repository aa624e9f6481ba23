"""Does the space `flow` pay? `python -m figures.learned`.

Part `starts`: the best of n starts of one size after the same polish, at equal numbers
and at equal seconds. Part `searches`: whole searches at several budgets, with the
source `learned` in the mix. Part `geometry`: distances in the space. No task belongs to
the training of the space.
"""

import dataclasses
import functools
import itertools
import sys
from pathlib import Path
from typing import Any, Literal

import jax

from figures.common import results, tables
from figures.common.checks import check_at_least, check_names
from figures.common.clock import WorkClock
from figures.common.results import Run, RunFile
from figures.learned import geometry, searches, starts, summary
from figures.quality import runs as quality_runs
from figures.quality import tasks
from swajax.autoencoder.flow.files import load_flow
from swajax.io import commands, png, runlog

TASKS = (
    "himmelblau",
    "ackley-n2",
    "goldstein-price",
    "mccormick",
    "sigmoid-2x14",
    "leaky-relu-3x35",
    "diabetes",
    "breast_cancer",
)
PARTS = ("starts", "searches", "geometry")
NUM_GEOMETRY = 1000  # networks whose distances are compared


@dataclasses.dataclass(frozen=True)
class LearnedCommand:
    """Compare starts and searches with and without the space flow."""

    parts: tuple[Literal["starts", "searches", "geometry"], ...] = PARTS
    """parts to run"""
    out: Path | None = None
    """folder of runs, tables and pictures; existing runs are kept
    [figures/learned; quick: a new temporary folder]"""
    file: str | None = None
    """file of `python -m swajax.pretrain flow` [the shipped one]"""
    tasks: tuple[str, ...] = TASKS
    """tasks of the quality study"""
    seeds: tuple[int, ...] = (0,)
    """seeds of data and starts"""
    sizes: tuple[int, ...] = (12, 24, 48)
    """numbers of weights of the starts"""
    num_starts: int = 512
    """number of starts per source and size"""
    num_steps: int = 60
    """number of Levenberg-Marquardt steps of the polish"""
    budgets: tuple[float, ...] = (2.0, 5.0, 20.0)
    """seconds of work of the searches"""
    mixes: tuple[str, ...] = ("default", "learned first")
    """mixes of sources of the searches"""
    summarize: bool = False
    """run nothing; redraw tables and pictures from existing runs"""
    quick: bool = False
    """run one task with few starts and steps, to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_at_least(1, self, "num_starts", "num_steps")
        known = [name for group in tasks.list_names().values() for name in group]
        check_names("task", self.tasks, known)
        check_names("mix", self.mixes, tuple(searches.MIXES))


def main(config: LearnedCommand) -> None:
    """Make the missing runs, then write tables and pictures."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "learned", is_quick=config.quick)
    if config.quick:
        small = {"num_starts": 4, "num_steps": 2, "sizes": (8,), "budgets": (0.5,)}
        config = dataclasses.replace(config, tasks=config.tasks[:1], **small)
    runs = RunFile(out / results.FILE_NAME)
    if not config.summarize:
        wanted = describe(config)
        planned = [
            (name, make)
            for name, make in plan(config)
            if not runs.has(name, wanted, field="config")
        ]
        results.make_missing(runs, planned)
    text = ""
    if found := [run for run in runs.values() if run["part"] == "starts"]:
        text += summary.format_starts(found)
        png.save(out / "starts.png", summary.draw_starts(found))
    if found := [run for run in runs.values() if run["part"] == "searches"]:
        text += "\n" + summary.format_searches(found)
    for run in runs.values():
        if run["part"] == "geometry":
            shown = (f"{k} {run[k]:.3f}" for k in ("spearman", "recall_at_1"))
            text += f"\n{NUM_GEOMETRY} networks and data sets: {', '.join(shown)}\n"
    if not text:
        raise ValueError(f"{out}: no runs to summarize")
    tables.write(out / "learned.md", text)
    sys.stdout.write(f"{text}\n")


def plan(config: LearnedCommand) -> list[tuple[str, Any]]:
    """Return the names of all runs, and functions that make them."""
    planned = []
    if "geometry" in config.parts:
        planned.append(("geometry", functools.partial(measure_space, config)))
    for name, seed in itertools.product(config.tasks, config.seeds):
        if "starts" in config.parts:
            make = functools.partial(compare_starts, name, seed, config)
            planned.append((f"starts.{name}.{seed}", make))
        if "searches" in config.parts:
            for mix, seconds in itertools.product(config.mixes, config.budgets):
                facts = name, seed, mix, seconds
                label = f"searches.{name}.{seed}.{mix}.{seconds:g}"
                planned.append(
                    (label, functools.partial(compare_searches, *facts, config))
                )
    return planned


def describe(config: LearnedCommand) -> dict[str, Any]:
    """Return the settings that the numbers of a run depend on."""
    names = ("sizes", "num_starts", "num_steps", "file")
    return {name: getattr(config, name) for name in names}


def compare_starts(name: str, seed: int, config: LearnedCommand) -> Run:
    """Polish the starts of all sources; return train losses and test errors."""
    task = tasks.make_task(name, seed)
    params, model = load_flow(config.file)
    found: dict[str, Any] = {}
    for size in config.sizes:
        for index, source in enumerate(starts.SOURCES):
            key = jax.random.fold_in(quality_runs.make_key(name, seed), index)
            draw = functools.partial(
                starts.draw_starts, source, key, task, size, config.num_starts
            )
            with WorkClock() as clock:
                draw(params=params, config=model)  # compiles, outside of the clock
                begin = clock()
                networks = draw(params=params, config=model)
                jax.block_until_ready(networks)
                seconds = clock() - begin
            polished = starts.polish(networks, task, size, config.num_steps)
            found[f"{source}.{size}"] = polished | {"seconds_before": seconds}
    return _facts("starts", name, seed, config) | {"starts": found}


def compare_searches(
    name: str, seed: int, mix: str, seconds: float, config: LearnedCommand
) -> Run:
    """Search with a mix of sources; return errors and hypervolume."""
    task = tasks.make_task(name, seed)
    key = quality_runs.make_key(name, seed)
    found = searches.search(key, task, mix, seconds, config.file)
    facts = _facts("searches", name, seed, config)
    return facts | {"mix": mix, "seconds": seconds} | found


def measure_space(config: LearnedCommand) -> Run:
    """Measure the geometry of the space."""
    params, model = load_flow(config.file)
    num = 16 if config.quick else NUM_GEOMETRY
    found = geometry.measure_geometry(jax.random.key(0), params, num=num, config=model)
    return _facts("geometry", "", 0, config) | found


def _facts(part: str, name: str, seed: int, config: LearnedCommand) -> Run:
    return {
        "part": part,
        "task": name,
        "seed": seed,
        "config": describe(config),
        "versions": runlog.find_versions(),
    }


if __name__ == "__main__":
    name = "python -m figures.learned"
    sys.exit(commands.run_command(main, LearnedCommand, name=name))
