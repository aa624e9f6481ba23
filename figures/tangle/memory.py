"""Measure memory and time of gradient steps: `python -m figures.tangle.memory`.

Cases are the search spaces, stacks of layers over the number of options and over the
batch size, the supernets of the package, and the peak of resident memory.
"""

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from figures.common import results
from figures.common.checks import check_at_least, check_names
from figures.common.results import Run, RunFile
from figures.tangle import catalogue, costs, library, memory_tables, resident
from figures.tangle.forms import FORMS
from figures.tangle.supernets import Supernet
from swajax.io import commands, runlog

OPTIONS = tuple(range(1, 9))
BATCHES = {"linear": (1, 4, 16, 64, 256, 1024), "conv": (1, 4, 16, 64)}
BATCH_OPTIONS = 4  # options per choice in the curves over batches
RESIDENT = ("conv", 8)


@dataclasses.dataclass(frozen=True)
class MemoryCommand:
    """Measure superposition, weight sharing, entangled outputs and a single path."""

    out: Path | None = None
    """folder for memory.jsonl, table and pictures; existing cases are kept
    [figures/tangle; quick: a new temporary folder]"""
    seconds: float = 5.0
    """seconds to time all forms of a case; 0 only compiles"""
    spaces: tuple[str, ...] | None = None
    """search spaces; large ones are only compiled [all]"""
    curves: bool = True
    """also measure curves over options and batches, and resident memory"""
    summarize: bool = False
    """only redraw table and pictures from existing cases"""
    quick: bool = False
    """measure one space for a moment to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_names("space", self.spaces or (), list(catalogue.SPACES))
        check_at_least(0, self, "seconds")


class Planned(NamedTuple):
    """A case to be measured."""

    kind: str  # space, options or batch
    name: str
    make: Callable[[], Supernet]
    batch_size: int
    num_options: int | None = None
    is_timed: bool = True

    @property
    def label(self) -> str:
        """Return the name of the case in the file."""
        num = "" if self.num_options is None else f".{self.num_options}"
        return f"{self.kind}.{self.name}{num}.{self.batch_size}"


def main(config: MemoryCommand) -> None:
    """Measure the missing cases, then write table and pictures."""
    config = _complete(config)
    commands.use_compilation_cache()
    runs = RunFile(config.out / memory_tables.FILE_NAME)
    if not config.summarize:
        planned = [one for one in _plan_all(config) if one[0] not in runs]
        results.make_missing(runs, planned)
    sys.stdout.write(memory_tables.write(config.out))


def _plan_all(config: MemoryCommand) -> Iterator[tuple[str, Callable[[], Run]]]:
    """Yield name and function of each case."""
    for planned in plan(config):
        yield planned.label, functools.partial(_measure_case, planned, config.seconds)
    for name in library.BATCHES:
        if name in (config.spaces or library.BATCHES):
            yield f"library.{name}", functools.partial(_count_library, name)
    if config.curves and resident.is_known():
        yield memory_tables.RESIDENT_NAME, _measure_resident


def plan(config: MemoryCommand) -> Iterator[Planned]:
    """Yield the cases of all forms, quick ones first."""
    config = _complete(config)
    cases = {name: catalogue.SPACES[name] for name in config.spaces or catalogue.SPACES}
    for name, case in cases.items():
        if case.is_timed:
            yield Planned("space", name, case.make, case.batch_size)
    for name, (make, batch_size) in catalogue.STACKS.items() if config.curves else ():
        for num in OPTIONS:
            bound = functools.partial(make, num)
            yield Planned("options", name, bound, batch_size, num)
        for num in BATCHES.get(name, ()):
            bound = functools.partial(make, BATCH_OPTIONS)
            yield Planned("batch", name, bound, num, BATCH_OPTIONS)
    for name, case in cases.items():
        if not case.is_timed:
            yield Planned("space", name, case.make, case.batch_size, is_timed=False)


def _complete(config: MemoryCommand) -> MemoryCommand:
    """Fill in the defaults that depend on `quick`."""
    out = results.choose_folder(config.out, "tangle", is_quick=config.quick)
    if not config.quick:
        return dataclasses.replace(config, out=out)
    spaces = config.spaces or ("mlp",)
    return dataclasses.replace(
        config, out=out, spaces=spaces, seconds=0.2, curves=False
    )


def _measure_case(planned: Planned, seconds: float) -> Run:
    """Measure all forms of a case."""
    forms = costs.measure_forms(
        planned.make,
        batch_size=planned.batch_size,
        seconds=seconds if planned.is_timed else 0.0,
    )
    return {
        "kind": planned.kind,
        "name": planned.name,
        "num_options": planned.num_options,
        "batch_size": planned.batch_size,
        "versions": runlog.find_versions(),
        "forms": forms,
    }


def _count_library(name: str) -> dict[str, Any]:
    """Count bytes and operations of a supernet of the package."""
    facts = {"kind": "library", "name": name, "versions": runlog.find_versions()}
    return facts | {"forms": library.count(name)}


def _measure_resident() -> Run:
    """Measure the peak of resident memory of all forms."""
    forms = {form: resident.run_in_process(*RESIDENT, form) for form in FORMS}
    return {"kind": "resident", "forms": forms}


if __name__ == "__main__":
    name = "python -m figures.tangle.memory"
    sys.exit(commands.run_command(main, MemoryCommand, name=name))
