"""Time complete searches by the command, without and with a compilation cache.

    python -m figures.speed.first_run

Each search is a new process with the default options, but for the time budget of some.
The first search of each case has no cached programs; the second search has those of the
first. Seconds are those of the whole process.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from figures.common import results
from swajax.io import commands, runlog

NUM_FEATURES = 10
QUICK = ("--num-starts", "8", "--num-rounds", "0", "--max-depth", "1")
QUICK += ("--max-width", "2", "--max-weights", "6")


@dataclasses.dataclass(frozen=True)
class FirstRunCommand:
    """Time searches of a small table and of made tables of 10 features."""

    out: Path | None = None
    """JSON file [figures/speed/first_run.json; quick: a temporary file]"""
    budgets: tuple[float, ...] = (5.0, 15.0, 60.0)
    """time budgets of searches of the small table"""
    num_rows: tuple[int, ...] = (1_000, 50_000)
    """rows of the made tables"""
    options: tuple[str, ...] = ()
    """further options of the search"""
    quick: bool = False
    """run tiny searches of the small table to test the study"""


def main(config: FirstRunCommand) -> None:
    """Run every search, then write the file."""
    folder = None if config.out is None else config.out.parent
    folder = results.choose_folder(folder, "speed", is_quick=config.quick)
    out = config.out or folder / "first_run.json"
    options = [*(QUICK if config.quick else ()), *config.options]
    budgets = config.budgets[:1] if config.quick else config.budgets
    cases = [("diabetes", None, budget) for budget in (None, *budgets)]
    cases += [] if config.quick else [("made", num, None) for num in config.num_rows]
    rows = []
    for table, num_rows, budget in cases:
        with tempfile.TemporaryDirectory() as folder:
            data = [table] if num_rows is None else _write_table(Path(folder), num_rows)
            time_budget = [] if budget is None else ["--time-budget", str(budget)]
            for kept in (False, True):
                arguments = [*data, *options, *time_budget]
                case = {"table": table, "num_rows": num_rows, "time_budget": budget}
                found = _search(Path(folder), arguments, f"run{kept}")
                rows.append(case | {"programs_kept": kept} | found)
                sys.stdout.write(f"{rows[-1]}\n")
                sys.stdout.flush()
    about = {"cores": results.count_cores(), "versions": runlog.find_versions()}
    runlog.write_json(out, about | {"options": options, "rows": rows})


def _write_table(folder: Path, num_rows: int) -> list[str]:
    """Write a table whose target depends mainly on three of ten features."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(num_rows, NUM_FEATURES))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.normal(size=num_rows)
    frame = pd.DataFrame(x, columns=[f"x{n}" for n in range(NUM_FEATURES)])
    path = folder / "made.csv"
    frame.assign(y=y).to_csv(path, index=False)
    return [str(path), "--target", "y"]


def _search(folder: Path, arguments: list[str], name: str) -> dict[str, Any]:
    """Return the seconds until the first answer and until the end, Python included."""
    out = folder / name
    command = [sys.executable, "-m", "swajax.search", "--data", *arguments]
    environment = os.environ | {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONUNBUFFERED": "1",
    }
    begin = time.monotonic()
    with subprocess.Popen(  # noqa: S603  # fixed command
        [*command, "--out", str(out)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        first = None
        for line in process.stdout:
            if first is None and line.startswith("after "):
                first = time.monotonic() - begin
    seconds = time.monotonic() - begin
    if process.returncode:
        raise ValueError(f"{' '.join(command)} failed: exit code {process.returncode}")
    return {"first_answer_seconds": first, "seconds": seconds}


if __name__ == "__main__":
    name = "python -m figures.speed.first_run"
    sys.exit(commands.run_command(main, FirstRunCommand, name=name))
