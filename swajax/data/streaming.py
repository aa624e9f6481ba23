"""Columns of a file some rows at a time: files may be larger than memory."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet

from swajax.data import readers
from swajax.data.built_in import load_built_in
from swajax.data.messages import listed, shown

NUM_ROWS = 10_000


def read_chunks(
    data: str, names: Sequence[str], num_rows: int = NUM_ROWS
) -> Iterator[pd.DataFrame]:
    """Raw cells of the named columns, wherever they stand; others are ignored.

    CSV, TSV and Parquet files are read piece by piece, NPZ files and built-in tables at
    once. They are understood as by `readers.read_source`.

    Args:
      data: path of the file, or a built-in name.
      names: of the columns.
      num_rows: rows of a frame, at most.

    Raises:
      FileNotFoundError: no such file and no such built-in table.
      ValueError: a column is missing, or the file cannot be read; names the line.
    """
    path = Path(data)
    if load_built_in(data) is not None or not path.is_file():
        return _slice(readers.read_source(data).frame, names, num_rows)
    with path.open("rb") as file:
        start = file.read(4)
    suffix = path.suffix.casefold()
    if start == b"PAR1" or suffix in (".parquet", ".pq"):
        return _read_parquet(path, names, num_rows)
    if start.startswith(b"PK") or suffix == ".npz":
        return _slice(readers.read_source(data).frame, names, num_rows)
    return _read_text(path, names, num_rows)


def _slice(
    frame: pd.DataFrame, names: Sequence[str], num_rows: int
) -> Iterator[pd.DataFrame]:
    _find(list(frame), names)
    for start in range(0, len(frame), num_rows):
        yield frame.iloc[start : start + num_rows][list(names)]


def _read_parquet(
    path: Path, names: Sequence[str], num_rows: int
) -> Iterator[pd.DataFrame]:
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"not a readable Parquet file: {error}") from None
    with file:
        stored = file.schema_arrow.names
        places = _find([name.strip() for name in stored], names)
        first = 1
        for batch in file.iter_batches(num_rows, columns=[stored[i] for i in places]):
            frame = batch.to_pandas(ignore_metadata=True)[[stored[i] for i in places]]
            frame.columns = list(names)
            frame.index = pd.RangeIndex(first, first + len(frame), name="row")
            first += len(frame)
            yield frame


def _read_text(
    path: Path, names: Sequence[str], num_rows: int
) -> Iterator[pd.DataFrame]:
    """Cells as strings; the index is the line number in the file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = readers.iterate_rows(file)
        _, header = next(rows, (1, []))
        places = _find([name.strip() for name in header], names)
        wanted = ((line, [cells[i] for i in places]) for line, cells in rows)
        while chunk := list(itertools.islice(wanted, num_rows)):
            lines, cells = zip(*chunk, strict=True)
            index = pd.Index(lines, name="line")
            yield pd.DataFrame(list(cells), index, columns=list(names), dtype=str)


def _find(header: list[str], names: Sequence[str]) -> list[int]:
    """Places of the named columns.

    Raises:
      ValueError: a column is missing or there twice.
    """
    missing = [name for name in names if name not in header]
    if missing:
        raise ValueError(
            f"missing columns {listed(missing)}; there are {listed(header)}"
        )
    twice = [name for name in names if header.count(name) > 1]
    if twice:
        raise ValueError(f"column name {shown(twice[0])} appears more than once")
    return [header.index(name) for name in names]
