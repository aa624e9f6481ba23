"""Bytes, operations and seconds of all forms: the command that measures them.

    python -m figures.tangle.memory

A JSON file a case under OUT/memory; what is there is kept, so that it can be stopped
and gone on with at any time.
"""

import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from figures.tangle import catalogue, costs, library, memory_tables, resident
from figures.tangle.forms import FORMS
from figures.tangle.supernets import Supernet
from swajax.data.messages import did_you_mean
from swajax.io import commands, runlog

OPTIONS = tuple(range(1, 9))
BATCHES = {"linear": (1, 4, 16, 64, 256, 1024), "conv": (1, 4, 16, 64)}
BATCH_OPTIONS = 4  # options a choice in the curves over batches
RESIDENT = ("conv", 8)


@dataclasses.dataclass(frozen=True)
class MemoryCommand:
    """Measure superposition beside weight sharing, entangled outputs, a single path."""

    out: Path | None = None
    """folder for results; what is there is kept
    [figures/out/tangle; quick: a new temporary folder]"""
    seconds: float = 5.0
    """to time all forms of a case; 0 compiles only"""
    spaces: tuple[str, ...] | None = None
    """search spaces, by default all; the large ones are compiled only"""
    curves: bool = True
    """curves over options and batches, and resident memory, too"""
    summarize: bool = False
    """only make the table and pictures of what is there"""
    quick: bool = False
    """two spaces and nothing else, to see that all runs"""

    def __post_init__(self) -> None:
        """Reject unknown spaces and negative times."""
        for name in self.spaces or ():
            if name not in catalogue.SPACES:
                known = list(catalogue.SPACES)
                advice = did_you_mean(name, known)
                raise ValueError(f"no space {name!r}{advice}; there are: {known}")
        if not self.seconds >= 0:
            raise ValueError(f"seconds must be >= 0, got {self.seconds}")


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
        """Of the file and in the log."""
        place = "" if self.num_options is None else f".{self.num_options}"
        return f"{self.kind}.{self.name}{place}.{self.batch_size}"


def main(config: MemoryCommand) -> None:
    """Every case that is not there yet, then the summary."""
    config = _complete(config)
    commands.use_compilation_cache()
    folder = config.out / "memory"
    folder.mkdir(parents=True, exist_ok=True)
    for planned in () if config.summarize else plan(config):
        path = folder / f"{planned.label}.json"
        if path.exists():
            continue
        begin = time.monotonic()
        seconds = config.seconds if planned.is_timed else 0.0
        found = costs.measure(
            planned.make, batch_size=planned.batch_size, seconds=seconds
        )
        runlog.write_json(path, _describe(planned) | {"forms": found})
        taken = time.monotonic() - begin
        sys.stdout.write(f"{planned.label}: {taken:.0f} s\n")
        sys.stdout.flush()
    for name in () if config.summarize else library.BATCHES:
        path = folder / f"library.{name}.json"
        if name in (config.spaces or library.BATCHES) and not path.exists():
            about = {
                "kind": "library",
                "name": name,
                "versions": runlog.find_versions(),
            }
            runlog.write_json(path, about | {"forms": library.count(name)})
            sys.stdout.write(f"{name} of the package: compiled\n")
            sys.stdout.flush()
    path = folder / "resident.json"
    is_wanted = config.curves and resident.is_known() and not config.summarize
    if is_wanted and not path.exists():
        runlog.write_json(path, {form: resident.run(*RESIDENT, form) for form in FORMS})
    sys.stdout.write(memory_tables.write(config.out))


def plan(config: MemoryCommand) -> Iterator[Planned]:
    """All cases, quick ones first."""
    config = _complete(config)
    cases = {name: catalogue.SPACES[name] for name in config.spaces or catalogue.SPACES}
    for name, case in cases.items():
        if case.is_timed:
            yield Planned("space", name, case.make, case.batch_size)
    for name, (make, batch_size) in catalogue.STACKS.items() if config.curves else ():
        for num in OPTIONS:
            bound = _bind(make, num)
            yield Planned("options", name, bound, batch_size, num)
        for num in BATCHES.get(name, ()):
            bound = _bind(make, BATCH_OPTIONS)
            yield Planned("batch", name, bound, num, BATCH_OPTIONS)
    for name, case in cases.items():
        if not case.is_timed:
            yield Planned("space", name, case.make, case.batch_size, is_timed=False)


def _bind(make: Callable[[int], Supernet], num: int) -> Callable[[], Supernet]:
    return lambda: make(num)


def _complete(config: MemoryCommand) -> MemoryCommand:
    if not config.quick:
        return dataclasses.replace(config, out=config.out or Path("figures/out/tangle"))
    return dataclasses.replace(
        config,
        # A new one: what an earlier call has left would be kept, and nothing tried.
        out=config.out or Path(tempfile.mkdtemp(prefix="swajax-tangle-")),
        spaces=config.spaces or ("mlp", "digits-macro"),
        seconds=0.2,
        curves=False,
    )


def _describe(planned: Planned) -> dict[str, Any]:
    return {
        "kind": planned.kind,
        "name": planned.name,
        "num_options": planned.num_options,
        "batch_size": planned.batch_size,
        "versions": runlog.find_versions(),
    }


if __name__ == "__main__":
    name = "python -m figures.tangle.memory"
    sys.exit(commands.run_command(main, MemoryCommand, name=name))
