"""Measure the speed of the main operations: `python -m figures.speed`.

Tasks of a group are timed in turns, and the fastest call counts, because other programs
slow down the rest. A large matrix product is timed in the same run. Floating point
operations are those that XLA counts in the compiled program.
"""

import dataclasses
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from figures.common import results, tables
from figures.common.checks import check_above_zero
from figures.speed import tasks
from figures.speed.tasks import SpeedTask
from swajax.io import commands, runlog


@dataclasses.dataclass(frozen=True)
class SpeedCommand:
    """Measure the speed of the main operations and of a matrix product."""

    out: Path | None = None
    """folder for numbers and table [figures/speed; quick: a new temporary folder]"""
    seconds: float = 10.0
    """seconds per task, compilation not counted"""
    summarize: bool = False
    """only rewrite the table from speed.json"""
    quick: bool = False
    """time two groups for a moment to test the study"""

    def __post_init__(self) -> None:
        """Check numbers."""
        check_above_zero(self, "seconds")


def main(config: SpeedCommand) -> None:
    """Time all tasks, then write numbers and table."""
    out = results.choose_folder(config.out, "speed", is_quick=config.quick)
    path = out / "speed.json"
    if not config.summarize:
        runlog.write_json(path, time_all(config))
    if not path.exists():
        raise ValueError(f"{path}: no numbers to summarize")
    table = format_table(json.loads(path.read_bytes())["rows"])
    tables.write(out / "speed.md", table)
    sys.stdout.write(f"{table}\n")


def time_all(config: SpeedCommand) -> dict[str, Any]:
    """Time the tasks of all groups; quick runs have two groups."""
    groups = tasks.GROUPS
    seconds = 0.01 if config.quick else config.seconds
    rows = []
    for make_tasks in groups[:2] if config.quick else groups:
        rows += time_tasks(make_tasks(), seconds=seconds)
    for what, aim in list(tasks.FORM_AIMS.items())[: 1 if config.quick else None]:
        plain, fast = (find_row(rows, f"{what}, {form} form") for form in tasks.FORMS)
        fast |= {"ratio": fast["rate"] / plain["rate"], "aim": aim}
    machine = f"{platform.machine()}, {jax.local_device_count()} "
    machine += f"{jax.default_backend()} device, {results.count_cores()} cores"
    return {"machine": machine, "jax": jax.__version__, "rows": rows}


def time_tasks(timed: list[SpeedTask], *, seconds: float) -> list[dict[str, Any]]:
    """Time tasks in turns.

    Args:
      timed: functions to compile and to time.
      seconds: per task.

    Returns:
      One row of the table per task, by its fastest call.
    """
    compiled = [task.fn.lower(*task.args).compile() for task in timed]
    times: list[list[float]] = [[] for _ in timed]
    for fn, task in zip(compiled, timed, strict=True):
        jax.block_until_ready(fn(*task.args))
    end = time.monotonic() + seconds * len(timed)
    while time.monotonic() < end:
        for fn, task, mine in zip(compiled, timed, times, strict=True):
            begin = time.perf_counter()
            jax.block_until_ready(fn(*task.args))
            mine.append(time.perf_counter() - begin)
    return [
        _row(task, fn, np.array(mine))
        for task, fn, mine in zip(timed, compiled, times, strict=True)
    ]


def find_row(rows: list[dict[str, Any]], task: str) -> dict[str, Any]:
    """Return the row of a task."""
    return next(row for row in rows if row["task"] == task)


def format_table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown."""
    cells = [
        [
            row["task"],
            f"{row['rate']:,.0f} {row['unit']}/s",
            f"{row['gflop_per_second']:.0f}",
            f"{row['ms']:.1f} ({row['ms_median']:.1f})",
            f"{row['ratio']:.1f}x" if row.get("ratio") else "",
            f"{row['aim']:.0f}x" if row.get("aim") else "",
        ]
        for row in rows
    ]
    header = ["task", "rate", "GFLOP/s", "ms per call (median)", "ratio", "aim"]
    return tables.format_rows(header, cells)


def _row(task: SpeedTask, compiled: Any, times: np.ndarray) -> dict[str, Any]:
    """Return the row of a task from the seconds of its calls."""
    rate = task.num_items / times.min()
    return {
        "task": task.name,
        "rate": rate,
        "unit": task.unit,
        "gflop_per_second": compiled.cost_analysis()["flops"] / times.min() / 1e9,
        "ms": 1e3 * times.min(),
        "ms_median": 1e3 * float(np.median(times)),
        "num_calls": len(times),
        "ratio": rate / task.reference if task.reference else None,
        "aim": task.aim,
    }


if __name__ == "__main__":
    sys.exit(commands.run_command(main, SpeedCommand, name="python -m figures.speed"))
