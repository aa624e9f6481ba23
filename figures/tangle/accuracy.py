"""Searches against each other, and against largest, smallest and random networks.

    python -m figures.tangle.accuracy

A JSON file a run under OUT/SPACE/runs; what is there is kept, so that it can be stopped
and gone on with at any time. Networks on their own, to rank searches by, are in
OUT/SPACE/table.json (`python -m figures.tangle.standalone_table`).
"""

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import tyro

from figures.common import results
from figures.tangle import accuracy_tables, standalone_table
from figures.tangle import methods as methods_lib
from figures.tangle.methods import Settings
from swajax.data.messages import did_you_mean
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
    """folder for runs, tables and pictures; what is there is kept
    [figures/out/tangle; quick: a new temporary folder]"""
    space: Literal["digits-macro", "digits-vit", "digits-cell", "chars-gpt"] = (
        "digits-macro"
    )
    """search space; only the networks of digits-macro are all in a table"""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=Settings
    )
    """budgets"""
    seeds: int = 5
    """splits and starts of each method"""
    methods: tuple[str, ...] | None = None
    """what is compared; by default all but ablations"""
    ablations: bool = False
    """ablations of the space too"""
    summarize: bool = False
    """only make tables and pictures of what is there"""
    quick: bool = False
    """a few steps of four methods, to see that all runs"""

    def __post_init__(self) -> None:
        """Reject unknown methods and numbers below one."""
        if self.seeds < 1:
            raise ValueError(f"seeds must be >= 1, got {self.seeds}")
        known = [*methods_lib.METHODS, *methods_lib.ABLATIONS]
        for name in self.methods or ():
            if name not in known:
                advice = did_you_mean(name, known)
                raise ValueError(
                    f"no method {name!r}{advice}; there are: {', '.join(known)}"
                )


def main(config: AccuracyCommand) -> None:
    """Every run that is not there yet, then the summary."""
    config = _complete(config)
    commands.use_compilation_cache()
    folder = config.out / config.space
    about = loaders.read_provenance(config.space)
    missing = [] if config.summarize else list(_find_missing(config, folder, about))
    table = accuracy_tables.find_table(folder, config.space)
    ranked = standalone_table.read_networks(table) if table else []
    if table and not config.summarize and table.get("data", {}) != about:
        raise ValueError(f"{folder}: its table is of other data: {table.get('data')}")
    for index, (method, seed) in enumerate(missing, start=1):
        begin = time.monotonic()
        run = {
            "task": config.space,
            "method": method,
            "seed": seed,
            "settings": configs.to_dict(config.settings),
            "versions": runlog.find_versions(),
            "data": about,
        } | methods_lib.run(method, config.space, seed, config.settings, ranked)
        results.save(results.make_path(folder, config.space, seed, method), run)
        sys.stdout.write(
            f"[{index}/{len(missing)}] {method} {seed}: "
            f"{run['retrained']['loss']:.4f} with {run['num_weights']} weights; "
            f"{time.monotonic() - begin:.0f} s\n"
        )
        sys.stdout.flush()
    sys.stdout.write(accuracy_tables.write(folder, config.space))


def plan(config: AccuracyCommand) -> Iterator[tuple[str, int]]:
    """Methods and seeds, seed by seed: balanced wherever it ends."""
    known = methods_lib.METHODS | methods_lib.ABLATIONS
    names = config.methods or tuple(methods_lib.METHODS)
    names += tuple(methods_lib.ABLATIONS) if config.ablations else ()
    for seed in range(config.seeds):
        for name in dict.fromkeys(names):
            if methods_lib.is_applicable(known[name], config.space):
                yield name, seed


def _find_missing(
    config: AccuracyCommand, folder: Path, about: dict[str, str]
) -> Iterator[tuple[str, int]]:
    for method, seed in plan(config):
        path = results.make_path(folder, config.space, seed, method)
        if not results.is_there(path, configs.to_dict(config.settings)):
            yield method, seed
        else:  # on other data no seed is the same
            data_of_run = json.loads(path.read_bytes()).get("data", {})
            results.check(path, data_of_run, about)


def _complete(config: AccuracyCommand) -> AccuracyCommand:
    if not config.quick:
        return dataclasses.replace(config, out=config.out or Path("figures/out/tangle"))
    return dataclasses.replace(
        config,
        # A new one: runs of an earlier time would be kept, and nothing tried.
        out=config.out or Path(tempfile.mkdtemp(prefix="swajax-tangle-")),
        settings=QUICK,
        seeds=min(config.seeds, 2),
        methods=config.methods or QUICK_METHODS,
    )


if __name__ == "__main__":
    name = "python -m figures.tangle.accuracy"
    sys.exit(commands.run_command(main, AccuracyCommand, name=name))
