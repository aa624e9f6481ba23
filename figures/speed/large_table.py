"""Measure the reading of a large table: `python -m figures.speed.large_table`.

A process of its own reads each file, since its peak memory counts. The tables are made
in a temporary folder: numbers, two columns of categories, and a target.
"""

import dataclasses
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from figures.common import results
from swajax.data.large import is_large
from swajax.data.loading import load_parts
from swajax.io import commands, configs, runlog

STEP = 500_000  # rows made at a time
NUM_NUMBERS = 17  # columns of random numbers, beside three others
AIM = {"seconds": 60, "gigabytes": 2}


@dataclasses.dataclass(frozen=True)
class LargeTableCommand:
    """Measure seconds and peak memory of reading a large table, in both passes."""

    num_rows: int = 10_000_000
    """rows of each table, of 20 columns"""
    out: Path | None = None
    """folder for the numbers [figures/speed; quick: a new temporary folder]"""
    quick: bool = False
    """few rows, to test the study"""

    def __post_init__(self) -> None:
        """Check numbers."""
        configs.check_fields(self, "num_rows", minimum=1)


def main(config: LargeTableCommand) -> None:
    """Make the tables, read them and write the numbers."""
    num_rows = 3000 if config.quick else config.num_rows
    out = results.choose_folder(config.out, "speed", is_quick=config.quick)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("parquet", "csv"):
            path = Path(folder) / f"table.{kind}"
            make_table(path, num_rows)
            # JAX may run in this process, so it must not be forked.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows.append({"kind": kind} | pool.apply(read_table, (str(path),)))
            path.unlink()
    numbers = {"cores": results.count_cores(), "aim": AIM, "rows": rows}
    runlog.write_json(out / "large_table.json", numbers)
    sys.stdout.write(json.dumps(numbers, indent=1) + "\n")


def make_table(path: Path, num_rows: int) -> None:
    """Write a table of random numbers in chunks, as Parquet or CSV by its suffix."""
    rng, writer = np.random.default_rng(0), None
    for start in range(0, num_rows, STEP):
        num = min(STEP, num_rows - start)
        x = rng.normal(size=(num, NUM_NUMBERS))
        cells = {f"x{place}": x[:, place] for place in range(NUM_NUMBERS)}
        cells["kind"] = rng.choice(["red", "green", "blue"], num)
        cells["level"] = rng.integers(0, 5, num)
        cells["y"] = np.tanh(x[:, 0] - x[:, 1]) + 0.1 * rng.normal(size=num)
        table = pa.table(cells)
        if writer is None:
            is_text = path.suffix == ".csv"
            make = pa.csv.CSVWriter if is_text else pa.parquet.ParquetWriter
            writer = make(path, table.schema)
        writer.write_table(table)
    writer.close()


def read_table(path: str) -> dict[str, Any]:
    """Read a table and then its test rows; return seconds and peak memory."""
    times = [_clocks()]
    loaded = load_parts(path, seed=0, target="y")
    times.append(_clocks())
    if loaded.read_test is not None:
        num_test = sum(len(chunk.x) for chunk in loaded.read_test())
    else:
        num_test = len(loaded.dataset.test.x)
    times.append(_clocks())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux
    first, second = np.diff(times, axis=0).tolist()
    return {
        "is_large": is_large(path),
        "file_megabytes": Path(path).stat().st_size / 1e6,
        "num_rows": loaded.num_rows,
        "num_test_read": num_test,
        "first_seconds": first[0],
        "first_cpu_seconds": first[1],
        "test_seconds": second[0],
        "test_cpu_seconds": second[1],
        "peak_gigabytes": peak / 1e6,
    }


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


if __name__ == "__main__":
    name = "python -m figures.speed.large_table"
    sys.exit(commands.run_command(main, LargeTableCommand, name=name))
