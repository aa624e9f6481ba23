"""Compare sources of starts by the loss after the polish: `python -m figures.starts`.

The study draws networks of one size from random weights, from decoders without data,
and from descents on the data, on weights and in the learned space. All of them get the
same polish. The table gives the number of starts, and the seconds, that reach an error
with probability 1/2.
"""

import dataclasses
import functools
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from figures.common import results, tables
from figures.common.checks import check_at_least, check_names
from figures.common.clock import WorkClock
from figures.common.results import Run, RunFile
from figures.quality import runs as quality_runs
from figures.quality import tasks
from figures.quality.tasks import QualityTask
from figures.starts import sources as sources_lib
from figures.starts.sources import Sizes
from swajax.io import commands, png, runlog
from swajax.refine import batches
from swajax.refine.quadratic import Fit
from swajax.search.config import SearchConfig
from swajax.search.job import Job, make_job
from swajax.types import Network

TASKS = (
    "himmelblau",
    "ackley-n2",
    "goldstein-price",
    "mccormick",
    "sigmoid-2x14",
    "leaky-relu-3x35",
)


@dataclasses.dataclass(frozen=True)
class StartsCommand:
    """Compare sources of starts by the loss after the polish."""

    out: Path | None = None
    """folder for runs, table and picture; existing runs are kept
    [figures/starts; quick: a new temporary folder]"""
    tasks: tuple[str, ...] = TASKS
    """regression tasks of the quality study"""
    sources: tuple[str, ...] = sources_lib.SOURCES
    """sources of starts"""
    num_weights: int = 25
    """number of weights of each network"""
    num_starts: int = 96
    """number of starts per source, a third for each depth"""
    num_steps: int = 120
    """number of Levenberg-Marquardt steps of the polish"""
    descent_steps: int = 300
    """number of gradient steps of direct and latent"""
    seed: int = 0
    """seed of data and starts"""
    summarize: bool = False
    """only redraw table and picture from existing runs"""
    quick: bool = False
    """run one task with few starts and steps, without decoders, to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        names = ("num_weights", "num_starts", "num_steps", "descent_steps")
        check_at_least(1, self, *names)
        groups = tasks.list_names()
        known = sorted({*groups["planted"], *groups["functions"]})
        check_names("task", self.tasks, known)
        check_names("source", self.sources, sources_lib.SOURCES)


def main(config: StartsCommand) -> None:
    """Make the missing runs, then write table and picture."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "starts", is_quick=config.quick)
    if config.quick:
        sizes = {"num_starts": 6, "num_steps": 3, "descent_steps": 25}
        sizes |= {"tasks": config.tasks[:1], "sources": ("random", "direct")}
        config = dataclasses.replace(config, **sizes)
    runs = RunFile(out / results.FILE_NAME)
    if not config.summarize:
        planned = [
            (name, functools.partial(compare_sources, name, config))
            for name in config.tasks
            if not runs.has(name, describe(config), field="config")
        ]
        results.make_missing(runs, planned)
    found = [runs[name] for name in config.tasks if name in runs]
    if not found:
        raise ValueError(f"{out}: no runs to summarize")
    table = format_table(found)
    tables.write(out / "starts.md", table)
    png.save(out / "starts.png", draw(found))
    sys.stdout.write(f"{table}\n")


def describe(config: StartsCommand) -> dict[str, Any]:
    """Return the settings that the numbers of a task depend on."""
    names = ("num_weights", "num_starts", "num_steps", "descent_steps", "seed")
    return {name: getattr(config, name) for name in names}


def compare_sources(name: str, config: StartsCommand) -> Run:
    """Polish all starts of all sources; return their relative test errors."""
    task = tasks.make_task(name, config.seed)
    limits = SearchConfig(max_weights=config.num_weights)
    sizes = Sizes(config.num_weights, config.num_starts, config.descent_steps)
    sources = {}
    for source in config.sources:
        index = sources_lib.SOURCES.index(source)
        key = jax.random.fold_in(quality_runs.make_key(name, config.seed), index)
        with WorkClock() as clock:
            begin = clock()
            job = make_job(task.train, task.valid, task.objective, limits, None, clock)
            networks = sources_lib.draw_starts(source, key, task, sizes)
            spent = clock() - begin
            first, last = _polish(networks, job, config.num_steps)
            sources[source] = {
                "seconds": clock() - begin,
                "seconds_before_polish": spent,
                "first_errors": _test_errors(task, first, job.fit),
                "errors": _test_errors(task, last, job.fit),
            }
    return {
        "task": name,
        "config": describe(config),
        "versions": runlog.find_versions(),
        "sources": sources,
    }


def _polish(networks: Network, job: Job, num_steps: int) -> tuple[Network, Network]:
    """Return the networks on the host, before and after the polish."""
    networks = jax.device_get(networks)
    more = job.train.x.shape[1] - networks.first.shape[1]
    first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
    networks = networks._replace(first=first)
    return networks, job.polish(networks, batches.count(networks), num_steps)[0]


def _test_errors(task: QualityTask, networks: Network, fit: Fit) -> list[float]:
    """Return test losses as shares of the variance of the test outputs."""
    num_inputs = task.train.x.shape[1]
    networks = networks._replace(first=networks.first[:, :num_inputs])
    loss = tasks.test_losses(task, networks, fit.activations)
    return (loss / float(task.test.y.var())).tolist()


class Effort(NamedTuple):
    """Starts and seconds that reach an error with probability 1/2."""

    starts: float
    seconds: float


def estimate_effort(source: dict[str, Any], goal: float) -> Effort:
    """Estimate the effort from the share of starts that reach an error.

    Args:
      source: errors of all starts and their seconds.
      goal: error to reach.

    Returns:
      Infinite numbers if no start reaches the error.
    """
    errors = np.array(source["errors"], float)  # None becomes NaN
    share = float(np.mean(errors <= goal))
    if not share:
        return Effort(math.inf, math.inf)
    num = 1.0 if share >= 0.5 else math.log(0.5) / math.log1p(-share)
    return Effort(num, num * source["seconds"] / len(errors))


def find_goal(found: dict[str, Any]) -> float:
    """Return the error that one in ten random starts reaches."""
    errors = np.array(found["sources"]["random"]["errors"], float)
    return float(np.nanquantile(errors, 0.1))


def format_table(found: Sequence[dict[str, Any]]) -> str:
    """Return a table with one row per task and source."""
    rows = []
    for one in found:
        goal = find_goal(one)
        for name, source in one["sources"].items():
            errors = np.array(source["errors"], float)
            effort = estimate_effort(source, goal)
            errors = (*np.nanquantile(errors, (0.0, 0.1, 0.5)), goal)
            cells = [f"{error:.2g}" for error in errors]
            cells += [f"{effort.starts:.1f}", f"{effort.seconds:.2f}"]
            rows.append([one["task"], name, *cells])
    header = ["task", "source", "best", "best tenth", "median"]
    return tables.format_rows([*header, "goal", "starts", "seconds"], rows)


def draw(found: Sequence[dict[str, Any]]) -> Figure:
    """Draw the share of starts that end below an error, one panel per task."""
    num_columns = min(3, len(found))
    num_rows = math.ceil(len(found) / num_columns)
    figure = Figure(figsize=(3.6 * num_columns, 2.8 * num_rows), layout="constrained")
    every = figure.subplots(num_rows, num_columns, squeeze=False, sharey=True).ravel()
    for axes, one in zip(every, found, strict=False):
        for name, source in one["sources"].items():
            errors = np.sort(np.array(source["errors"], float))
            share = np.arange(1, len(errors) + 1) / len(errors)
            axes.step(errors, share, where="post", label=name)
        axes.set(xscale="log", title=one["task"], xlabel="relative test error")
    for axes in every[len(found) :]:
        axes.set_axis_off()
    for row in range(num_rows):
        every[row * num_columns].set_ylabel("share of starts")
    every[0].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    name = "python -m figures.starts"
    sys.exit(commands.run_command(main, StartsCommand, name=name))
