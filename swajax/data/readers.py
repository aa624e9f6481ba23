"""Readers of text, Parquet and NPZ files as data frames of raw cells."""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from swajax.data import formats
from swajax.data.built_in import NAMES, load_built_in
from swajax.data.messages import did_you_mean, listed, shown
from swajax.data.number_formats import Decimal

MAX_HEADER_LINES = 20  # maximum for a header whose quoted names hold line breaks


class Source(NamedTuple):
    """Raw columns of a table, and its default target and features."""

    frame: pd.DataFrame
    """columns; the index is named `line` if it counts lines of the file, else `row`"""
    target: str | None = None
    """default target, if there is one"""
    features: tuple[str, ...] | None = None
    """default features; None for all columns except the target"""
    notes: tuple[str, ...] = ()
    """notes for the user, one line each"""
    decimal: Decimal = "."
    """`,` if numbers may have decimal commas"""


def read_source(data: str) -> Source:
    """Read the columns of a file or of a built-in table.

    The content decides the format. Files may be compressed with gzip; text may be UTF-8
    or, with a byte order mark, UTF-16 or UTF-32.

    Args:
      data: path of the file, or name of a built-in table.

    Raises:
      FileNotFoundError: there is no such file and no such built-in table.
      ValueError: the file cannot be read as a table; the message has line and cause.
    """
    built_in = load_built_in(data)
    if built_in is not None:
        frame, target = built_in
        return Source(_counted(frame), target)
    path = Path(data)
    if path.is_dir():
        raise ValueError("is a folder, expected a CSV, TSV, Parquet or NPZ file")
    if not path.is_file():
        raise FileNotFoundError(
            f"no such file: {data!r}{did_you_mean(data, NAMES)} "
            f"(built-in tables: {', '.join(NAMES)})"
        )
    raw = formats.read_bytes(path)
    if not raw.strip():
        raise ValueError("the file is empty")
    suffix = path.suffix.casefold()
    if raw.startswith(formats.PARQUET) or suffix in (".parquet", ".pq"):
        return _read_parquet(raw)
    if raw.startswith(formats.ZIP) or suffix == ".npz":
        return _read_npz(raw)
    formats.check_known(raw[: formats.MOST_BYTES])
    return _read_text(_decode(raw))


def _counted(frame: pd.DataFrame) -> pd.DataFrame:
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame


def _decode(raw: bytes) -> str:
    encoding = formats.find_encoding(raw[: formats.MOST_BYTES])
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        name = encoding.removesuffix("-sig").upper()
        raise ValueError(f"line {line} is not {name} text") from None
    if "\0" in text:
        raise ValueError("holds zero bytes, expected a CSV or TSV text file")
    return text


def _read_text(text: str) -> Source:
    """Read cells as strings, one row per line; the index is the line in the file."""
    header = read_header(io.StringIO(text, newline=""))
    if not header.strip():
        raise ValueError("line 1 must hold the column names, it is blank")
    lines = [line for line, _ in iterate_rows(io.StringIO(text, newline=""))]
    if len(lines) == 1:
        raise ValueError("only a line of column names, no data rows")
    delimiter = find_delimiter(header)
    cells = pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        header=None,
        dtype=str,
        keep_default_na=False,
        nrows=len(lines),
    )
    names = [name.strip() for name in cells.iloc[0]]
    notes = check_names(names)
    frame = cells.iloc[1:].set_axis(names, axis=1)
    frame.index = pd.Index(lines[1:], name="line")
    frame, more = drop_unnamed(frame)
    return Source(frame, notes=notes + more, decimal=find_decimal(header))


def check_names(names: list[str]) -> tuple[str, ...]:
    """Reject a first line of numbers, unless they count the columns: then add a note.

    Returns:
      Notes for the user.
    """
    points = pd.Series([name.replace(",", ".") for name in names])
    if pd.to_numeric(points, errors="coerce").isna().any():
        return ()
    if names not in ([str(i + start) for i in range(len(names))] for start in (0, 1)):
        raise ValueError("line 1 must hold the column names, it holds numbers only")
    return (f"line 1 holds the column names: {listed(names, 4)}",)


def read_header(file: io.TextIOBase) -> str:
    """Read the line of column names; names in quotes may hold line breaks.

    Args:
      file: opened with `newline=""`, at its beginning.
    """
    first = file.readline()
    header, rest = first, itertools.islice(iter(file.readline, ""), MAX_HEADER_LINES)
    while header.count('"') % 2:
        line = next(rest, None)
        if line is None:
            return first
        header += line
    return header


def find_decimal(header: str) -> Decimal:
    """Return the decimal mark of the numbers in a text file with this header."""
    return "." if find_delimiter(header) == "," else ","


def iterate_rows(file: io.TextIOBase) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the cells of each row, without blank lines at the end.

    pandas pads short lines silently, so the cells are counted here.

    Args:
      file: opened with `newline=""`, at its beginning.

    Raises:
      ValueError: rows differ in length, or the text is not a table; the message names
        the line.
    """
    blank, start, num_columns = None, 1, 0
    try:
        delimiter = find_delimiter(read_header(file))
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for cells in reader:
            if len(cells) < 2 and not "".join(cells).strip():
                blank = blank or start
            elif blank:
                raise ValueError(f"line {blank} is blank, between data rows")
            else:
                num_columns = num_columns or len(cells)
                if len(cells) != num_columns:
                    raise ValueError(
                        f"line {start} has {len(cells)} cells, the first line has "
                        f"{num_columns}; all lines must have the same number"
                    )
                yield start, cells
            start = reader.line_num + 1
    except UnicodeDecodeError:
        raise ValueError(f"not UTF-8 text, in line {start} or soon after") from None
    except csv.Error as error:
        raise ValueError(f"line {start} is not a line of a table: {error}") from None


def find_delimiter(header: str) -> str:
    """Return the most frequent delimiter outside of quoted names."""
    return max(",;\t", key=re.sub(r'"[^"]*"', "", header).count)


def _read_parquet(raw: bytes) -> Source:
    try:
        frame = pd.read_parquet(io.BytesIO(raw))
        # A named index stored by pandas is a column of the file like others.
        named = [level for level in frame.index.names if level is not None]
        frame = frame.reset_index(named) if named else frame
    except Exception as error:  # pandas raises any kind for damaged metadata
        raise ValueError(f"not a readable Parquet file: {first_line(error)}") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    frame, notes = drop_unnamed(_counted(frame))
    return Source(frame, notes=notes)


def _read_npz(raw: bytes) -> Source:
    """Read arrays `x` [N, I] and `y` [N], or otherwise one column per array [N]."""
    formats.check_npz(raw)
    arrays = _load_arrays(raw)
    if "x" not in arrays or arrays["x"].ndim != 2:
        for name, array in arrays.items():
            if array.ndim != 1 or len(array) != len(next(iter(arrays.values()))):
                raise ValueError(
                    "expected arrays x [N, I] and y [N], or arrays [N] of one length "
                    f"as columns; {shown(name)} has the shape {array.shape}"
                )
        frame, notes = drop_unnamed(_counted(pd.DataFrame(arrays)))
        return Source(frame, notes=notes)
    inputs = _split_inputs(arrays.pop("x"), arrays.pop("feature_names", None))
    shape = inputs.index.shape
    others = {
        name: array.ravel()
        for name, array in arrays.items()
        if array.shape in (shape, (*shape, 1))
    }
    ignored = sorted(set(arrays) - set(others))
    notes = (f"arrays ignored for their shape: {listed(ignored)}",) if ignored else ()
    frame = pd.concat([inputs, _counted(pd.DataFrame(others))], axis=1)
    frame, more = drop_unnamed(frame)
    target = "y" if "y" in others else None
    return Source(frame, target, tuple(filter(None, inputs.columns)), notes + more)


def _load_arrays(raw: bytes) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds
        raise ValueError(f"not a readable NPZ file: {first_line(error)}") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind == "V":
            raise ValueError(f"not a readable NPZ file: {shown(name)} is not an array")
    return arrays


def _split_inputs(
    x: Shaped[np.ndarray, "N I"], names: np.ndarray | None
) -> pd.DataFrame:
    num_inputs = x.shape[1]
    if names is None:
        names = np.array([f"x{i}" for i in range(1, num_inputs + 1)])
    if names.shape != (num_inputs,):
        raise ValueError(
            f"feature_names has the shape {names.shape}, x has {num_inputs} columns"
        )
    return _counted(pd.DataFrame(x, columns=[str(name).strip() for name in names]))


def drop_unnamed(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Leave out columns without a name, which are saved row numbers; add a note."""
    counts = Counter(frame.columns)
    for name, count in counts.items():
        if name and count > 1:
            raise ValueError(f"column name {shown(name)} appears more than once")
    if not counts[""]:
        return frame, ()
    note = f"columns without a name left out: {counts['']}"
    return frame.loc[:, [bool(name) for name in frame.columns]], (note,)


def first_line(error: Exception) -> str:
    """Return the first line of the message of an error, or its kind."""
    return str(error).partition("\n")[0][:200] or type(error).__name__
