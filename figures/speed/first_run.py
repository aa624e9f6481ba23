"""How long a user waits: a whole search by its command, without and with programs kept.

    python -m figures.speed.first_run

Each search is a process of its own, with the default options; the first one of a table
finds no compiled programs, the second one those of the first.
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

from figures.common.results import count_cores
from swajax.io import commands, runlog

NUM_ROWS, NUM_FEATURES = 1000, 10


@dataclasses.dataclass(frozen=True)
class FirstRunCommand:
    """Time whole searches of a small table and of one of 1,000 rows and 10 features."""

    out: Path = Path("figures/out/first_run.json")
    """JSON file for the seconds"""
    options: tuple[str, ...] = ()
    """given on to the search"""


def main(config: FirstRunCommand) -> None:
    """Every search, then the file."""
    rows = []
    for name in ("diabetes", "made"):
        with tempfile.TemporaryDirectory() as folder:
            data = [name] if name == "diabetes" else [_write_table(Path(folder))]
            for kept in (False, True):
                found = _search(Path(folder), [*data, *config.options], f"run{kept}")
                rows.append({"table": name, "programs_kept": kept} | found)
                sys.stdout.write(f"{rows[-1]}\n")
    about = {"cores": count_cores(), "versions": runlog.find_versions()}
    runlog.write_json(config.out, about | {"options": config.options, "rows": rows})


def _write_table(folder: Path) -> str:
    """Rows of which three features tell most."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(NUM_ROWS, NUM_FEATURES))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.1 * rng.normal(size=NUM_ROWS)
    frame = pd.DataFrame(x, columns=[f"x{n}" for n in range(NUM_FEATURES)])
    path = folder / "made.csv"
    frame.assign(y=y).to_csv(path, index=False)
    return str(path)


def _search(folder: Path, arguments: list[str], name: str) -> dict[str, Any]:
    """Seconds until the first answer and until the end, start of Python included."""
    out = folder / name
    command = [sys.executable, "-m", "swajax.search", "--data", *arguments]
    if arguments[0] != "diabetes":
        command += ["--target", "y"]
    environment = os.environ | {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONUNBUFFERED": "1",
    }
    begin = time.monotonic()
    with subprocess.Popen(  # noqa: S603  # our own command
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
        raise ValueError(f"{' '.join(command)} has failed: {process.returncode}")
    return {"first_answer_seconds": first, "seconds": seconds}


if __name__ == "__main__":
    name = "python -m figures.speed.first_run"
    sys.exit(commands.run_command(main, FirstRunCommand, name=name))
