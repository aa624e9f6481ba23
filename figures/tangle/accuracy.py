"""Compare architecture searches: `python -m figures.tangle.accuracy`.

Searches are compared with one another and with the largest, the smallest and random
networks at equal gradient passes. Runs are in OUT/SPACE/runs.jsonl. The standalone
networks by which searches are ranked are in OUT/SPACE/table.json
(`python -m figures.tangle.standalone_table`).
"""

import dataclasses
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import tyro

from figures.common import results
from figures.common.checks import check_at_least, check_names
from figures.common.results import Run, RunFile
from figures.tangle import accuracy_tables, standalone_table
from figures.tangle import methods as methods_lib
from figures.tangle.methods import Settings
from swajax.io import commands, configs, runlog
from swajax.tangle.data import loaders
from swajax.tangle.selection import EvolutionConfig

QUICK = Settings(
    passes=4,
    train_steps=4,
    batch_size=8,
    evolution=EvolutionConfig(
        num_rounds=1, num_kept=2, num_mutated=2, num_crossed=2, batch_size=2
    ),
)
QUICK_METHODS = ("drnas", "spos-evolution", "random", "largest")


@dataclasses.dataclass(frozen=True)
class AccuracyCommand:
    """Compare architecture searches at equal gradient passes."""

    out: Path | None = None
    """folder for runs, tables and pictures, one folder per space below it; existing
    runs are kept [figures/tangle; quick: a new temporary folder]"""
    space: Literal["digits-macro", "digits-vit", "digits-cell", "chars-gpt"] = (
        "digits-macro"
    )
    """search space"""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=Settings
    )
    """budgets"""
    seeds: int = 5
    """number of seeds per method, of split and start"""
    methods: tuple[str, ...] | None = None
    """methods [all but the ablations]"""
    ablations: bool = False
    """also run the ablations of the space"""
    summarize: bool = False
    """only redraw tables and pictures from existing runs"""
    quick: bool = False
    """run a few steps of four methods to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_at_least(1, self, "seeds")
        known = [*methods_lib.METHODS, *methods_lib.ABLATIONS]
        check_names("method", self.methods or (), known)


def main(config: AccuracyCommand) -> None:
    """Make the missing runs, then write tables and pictures."""
    config = _complete(config)
    commands.use_compilation_cache()
    folder = config.out / config.space
    folder.mkdir(parents=True, exist_ok=True)
    if not config.summarize:
        _run_missing(config, folder)
    sys.stdout.write(accuracy_tables.write(folder, config.space))


def _run_missing(config: AccuracyCommand, folder: Path) -> None:
    """Make the missing runs; refuse runs and tables of other data."""
    data = loaders.read_provenance(config.space)
    runs = RunFile(folder / results.FILE_NAME)
    missing = list(_find_missing(config, runs, data))
    table = accuracy_tables.find_table(folder, config.space)
    if table and table.get("data", {}) != data:
        raise ValueError(f"{folder}: its table is of other data: {table.get('data')}")
    ranked = standalone_table.read_networks(table) if table else []

    def make(method: str, seed: int) -> Run:
        return {
            "task": config.space,
            "method": method,
            "seed": seed,
            "settings": configs.to_dict(config.settings),
            "versions": runlog.find_versions(),
            "data": data,
        } | methods_lib.run_method(method, config.space, seed, config.settings, ranked)

    planned = [
        (
            results.make_name(config.space, seed, method),
            functools.partial(make, method, seed),
        )
        for method, seed in missing
    ]
    results.make_missing(runs, planned, _describe)


def _describe(run: Run) -> str:
    loss, num = run["retrained"]["loss"], run["num_weights"]
    return f"test loss {loss:.4f} with {num} weights"


def plan(config: AccuracyCommand) -> Iterator[tuple[str, int]]:
    """Yield methods and seeds, seed by seed, so that partial results are balanced."""
    known = methods_lib.METHODS | methods_lib.ABLATIONS
    names = config.methods or tuple(methods_lib.METHODS)
    names += tuple(methods_lib.ABLATIONS) if config.ablations else ()
    for seed in range(config.seeds):
        for name in dict.fromkeys(names):
            if methods_lib.is_applicable(known[name], config.space):
                yield name, seed


def _find_missing(
    config: AccuracyCommand, runs: RunFile, data: dict[str, str]
) -> Iterator[tuple[str, int]]:
    """Yield method and seed of each missing run."""
    for method, seed in plan(config):
        name = results.make_name(config.space, seed, method)
        if not runs.has(name, configs.to_dict(config.settings)):
            yield method, seed
        else:  # a seed of other data is another split
            runs.has(name, data, field="data")


def _complete(config: AccuracyCommand) -> AccuracyCommand:
    """Fill in the defaults that depend on `quick`."""
    out = results.choose_folder(config.out, "tangle", is_quick=config.quick)
    if not config.quick:
        return dataclasses.replace(config, out=out)
    return dataclasses.replace(
        config,
        out=out,
        settings=QUICK,
        seeds=min(config.seeds, 2),
        methods=config.methods or QUICK_METHODS,
    )


if __name__ == "__main__":
    name = "python -m figures.tangle.accuracy"
    sys.exit(commands.run_command(main, AccuracyCommand, name=name))
