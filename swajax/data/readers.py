"""Files of tables as data frames of raw cells: text, Parquet and NPZ."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from swajax.data.built_in import NAMES, load_built_in
from swajax.data.messages import did_you_mean, listed, shown


class Source(NamedTuple):
    """Raw columns; the name of the index says what it counts: lines or rows."""

    frame: pd.DataFrame
    target: str | None = None  # by default
    features: tuple[str, ...] | None = None  # by default, None for all others
    notes: tuple[str, ...] = ()


def read_source(data: str) -> Source:
    """The columns of a file, by what it holds, or of a built-in table.

    Raises:
      FileNotFoundError: no such file and no such built-in table.
      ValueError: the file cannot be read as a table; line and cause are named.
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
    raw = path.read_bytes()
    if not raw.strip():
        raise ValueError("the file is empty")
    if raw.startswith(b"PAR1") or path.suffix.casefold() in (".parquet", ".pq"):
        return _read_parquet(raw)
    if raw.startswith(b"PK") or path.suffix.casefold() == ".npz":
        return _read_npz(raw)
    return Source(_read_text(_decode(raw)))


def _counted(frame: pd.DataFrame) -> pd.DataFrame:
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} is not UTF-8 text") from None
    if "\0" in text:
        raise ValueError("holds zero bytes, expected a CSV or TSV text file")
    return text


def _read_text(text: str) -> pd.DataFrame:
    """Cells as strings, one row a line; the index is the line number in the file."""
    header = text.partition("\n")[0]
    if not header.strip():
        raise ValueError("line 1 must hold the column names, it is blank")
    lines = [line for line, _ in iterate_rows(io.StringIO(text, newline=""))]
    if len(lines) == 1:
        raise ValueError("only a line of column names, no rows of data")
    cells = pd.read_csv(
        io.StringIO(text),
        sep=_find_delimiter(header),
        header=None,
        dtype=str,
        keep_default_na=False,
        nrows=len(lines),
    )
    names = [name.strip() for name in cells.iloc[0]]
    if not pd.to_numeric(pd.Series(names), errors="coerce").isna().any():
        raise ValueError("line 1 must hold the column names, it holds numbers only")
    frame = cells.iloc[1:].set_axis(names, axis=1)
    frame.index = pd.Index(lines[1:], name="line")
    return _named(frame)


def iterate_rows(file: io.TextIOBase) -> Iterator[tuple[int, list[str]]]:
    """Cells of each row and the line it begins in; blank lines at the end are no rows.

    pandas fills short lines up in silence, so the cells are counted here.

    Args:
      file: opened with `newline=""`, at its begin.

    Raises:
      ValueError: rows differ in length, or the text is no table; names the line.
    """
    blank, start, num_columns = None, 1, 0
    try:
        delimiter = _find_delimiter(file.readline())
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for cells in reader:
            if len(cells) < 2 and not "".join(cells).strip():
                blank = blank or start
            elif blank:
                raise ValueError(f"line {blank} is blank, between rows of data")
            else:
                num_columns = num_columns or len(cells)
                if len(cells) != num_columns:
                    raise ValueError(
                        f"line {start} has {len(cells)} cells, the first line has "
                        f"{num_columns}; all lines must have as many"
                    )
                yield start, cells
            start = reader.line_num + 1
    except UnicodeDecodeError:
        raise ValueError(f"not UTF-8 text, in line {start} or soon after") from None
    except csv.Error as error:
        raise ValueError(f"line {start} is not a line of a table: {error}") from None


def _find_delimiter(header: str) -> str:
    """The most frequent mark outside of quoted names."""
    return max(",;\t", key=re.sub(r'"[^"]*"', "", header).count)


def _read_parquet(raw: bytes) -> Source:
    try:
        frame = pd.read_parquet(io.BytesIO(raw))
        # What pandas has stored as an index is a column of the file like others.
        named = [level for level in frame.index.names if level is not None]
        frame = frame.reset_index(named) if named else frame
    except Exception as error:  # damaged metadata of pandas raises any kind
        raise ValueError(f"not a readable Parquet file: {_first_line(error)}") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    return Source(_named(_counted(frame)))


def _read_npz(raw: bytes) -> Source:
    """Arrays `x` [N, I] and `y` [N], or else every array a column."""
    arrays = _load_arrays(raw)
    if "x" not in arrays or arrays["x"].ndim != 2:
        for name, array in arrays.items():
            if array.ndim != 1 or len(array) != len(next(iter(arrays.values()))):
                raise ValueError(
                    "expected arrays x [N, I] and y [N], or arrays [N] of one length "
                    f"as columns; {shown(name)} has the shape {array.shape}"
                )
        return Source(_named(_counted(pd.DataFrame(arrays))))
    inputs = _split_inputs(arrays.pop("x"), arrays.pop("feature_names", None))
    shape = inputs.index.shape
    others = {
        name: array.ravel()
        for name, array in arrays.items()
        if array.shape in (shape, (*shape, 1))
    }
    ignored = sorted(set(arrays) - set(others))
    notes = (f"arrays ignored for their shape: {listed(ignored)}",) if ignored else ()
    frame = _named(pd.concat([inputs, _counted(pd.DataFrame(others))], axis=1))
    target = "y" if "y" in others else None
    return Source(frame, target, tuple(filter(None, inputs.columns)), notes)


def _load_arrays(raw: bytes) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # of zipfile, zlib and NumPy, if not of memory
        raise ValueError(f"not a readable NPZ file: {_first_line(error)}") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind == "V":
            raise ValueError(f"not a readable NPZ file: {shown(name)} is no array")
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


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that have a name: others are saved row indices."""
    counts = Counter(frame.columns)
    for name, count in counts.items():
        if name and count > 1:
            raise ValueError(f"column name {shown(name)} appears more than once")
    return frame.loc[:, [bool(name) for name in frame.columns]]


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
