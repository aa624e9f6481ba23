"""Chunks of rows from a file, which may be larger than memory."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from swajax.data import batches, formats, readers
from swajax.data.built_in import load_built_in
from swajax.data.messages import listed, shown
from swajax.data.number_formats import Decimal

NUM_ROWS = 10_000


def read_chunks(
    data: str, names: Sequence[str], num_rows: int = NUM_ROWS
) -> Iterator[pd.DataFrame]:
    """Yield the raw cells of the named columns, which may have any order in the file.

    CSV, TSV and Parquet files are read in chunks, NPZ files and built-in tables as a
    whole. Formats are those of `readers.read_source`.

    Args:
      data: path of the file, or name of a built-in table.
      names: columns to read; other columns are ignored.
      num_rows: maximum number of rows per frame.

    Raises:
      FileNotFoundError: there is no such file and no such built-in table.
      ValueError: a column is missing, or the file cannot be read; the message names
        column or line.
    """
    read_fn = {"text": _read_text, "parquet": _read_parquet, "whole": _read_whole}
    return read_fn[find_kind(data)](data, names, num_rows)


def find_decimal(data: str) -> Decimal:
    """Return the decimal mark of the numbers in a file.

    Args:
      data: path of the file, or name of a built-in table.
    """
    if find_kind(data) != "text":
        return "."
    with formats.open_text(Path(data), errors="replace") as file:
        return readers.find_decimal(readers.read_header(file))


def find_kind(data: str) -> Literal["text", "parquet", "whole"]:
    """Return the way to read a file: by lines, by row groups, or as a whole."""
    path = Path(data)
    if load_built_in(data) is not None or not path.is_file():
        return "whole"
    start, suffix = formats.read_start(path), path.suffix.casefold()
    if start.startswith(formats.PARQUET) or suffix in (".parquet", ".pq"):
        return "whole" if formats.is_gzip(path) else "parquet"
    if start.startswith(formats.ZIP) or suffix == ".npz":
        return "whole"
    formats.check_known(start)
    return "text"


def _read_whole(
    data: str, names: Sequence[str], num_rows: int
) -> Iterator[pd.DataFrame]:
    frame = readers.read_source(data).frame
    _find(list(frame), names)
    for start in range(0, len(frame), num_rows):
        yield frame.iloc[start : start + num_rows][list(names)]


def _read_parquet(
    data: str, names: Sequence[str], num_rows: int
) -> Iterator[pd.DataFrame]:
    with batches.open_parquet(data) as file:
        stored = file.schema_arrow.names
        wanted = [stored[i] for i in _find([name.strip() for name in stored], names)]
        first = 1
        for batch in batches.iterate_parquet(file, num_rows, wanted):
            frame = batches.to_frame(batch, first)
            frame.columns = list(names)
            first += len(frame)
            yield frame


def _read_text(
    data: str, names: Sequence[str], num_rows: int
) -> Iterator[pd.DataFrame]:
    """Yield cells as strings; the index is the line number in the file."""
    try:
        with formats.open_text(Path(data)) as file:
            rows = readers.iterate_rows(file)
            _, header = next(rows, (1, []))
            indices = _find([name.strip() for name in header], names)
            wanted = ((line, [cells[i] for i in indices]) for line, cells in rows)
            while chunk := list(itertools.islice(wanted, num_rows)):
                lines, cells = zip(*chunk, strict=True)
                index = pd.Index(lines, name="line")
                yield pd.DataFrame(list(cells), index, columns=list(names), dtype=str)
    except formats.GZIP_ERRORS as error:
        raise ValueError(f"not a readable gzip file: {error}") from None


def _find(header: list[str], names: Sequence[str]) -> list[int]:
    """Return the indices of the named columns.

    Raises:
      ValueError: a column is missing, or two have its name.
    """
    missing = [name for name in names if name not in header]
    if missing:
        raise ValueError(
            f"missing columns {listed(missing)}; the table has {listed(header)}"
        )
    twice = [name for name in names if header.count(name) > 1]
    if twice:
        raise ValueError(f"column name {shown(twice[0])} appears more than once")
    return [header.index(name) for name in names]
