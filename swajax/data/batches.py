"""Batches of raw cells as Arrow arrays, from Parquet and text files of any size."""

import collections
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from jaxtyping import Bool, Float

from swajax.data import columns, formats, readers
from swajax.data.number_formats import Decimal

FileKind = Literal["text", "parquet"]
BATCH_ROWS, BATCH_CELLS = 2**16, 2**21  # of a Parquet file, at most
NUM_TRIED = 100
BLOCK_BYTES = 2**24  # of a text file
BUFFER_BYTES = 2**20  # of a column of a Parquet file
INDEX = "__index_level_"  # start of the name of an unnamed index stored by pandas
ERRORS = (pa.ArrowException, OSError, UnicodeError, *formats.GZIP_ERRORS)


def read_names(path: Path, kind: FileKind) -> list[str]:
    """Read the column names of a file, stripped; those of an unnamed index are empty.

    Args:
      path: the file.
      kind: text or parquet, see `streaming.find_kind`.

    Raises:
      ValueError: the file cannot be read, or its first line holds no names.
    """
    if kind == "text":
        return [name.strip() for name in _read_header(path)[1]]
    with open_parquet(path) as file:
        names = [name.strip() for name in file.schema_arrow.names]
    return ["" if name.startswith(INDEX) else name for name in names]


def read_batches(
    path: Path, kind: FileKind, indices: Sequence[int], names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the cells of some columns; those of a text file are strings.

    Args:
      path: the file.
      kind: text or parquet.
      indices: positions of the columns in the file.
      names: names to give to them.

    Raises:
      ValueError: the file is damaged; the message names the line of a text file.
    """
    read_fn: Callable[..., Iterator[pa.RecordBatch]] = (
        _read_text if kind == "text" else _read_parquet
    )
    for batch in read_fn(path, indices):
        yield pa.RecordBatch.from_arrays(batch.columns, list(names))


def open_parquet(path: Path | str) -> pyarrow.parquet.ParquetFile:
    """Open a Parquet file for reading in small buffers.

    Raises:
      ValueError: it is damaged.
    """
    try:
        # With pre_buffer, all that was read stays in memory.
        return pyarrow.parquet.ParquetFile(
            path, buffer_size=BUFFER_BYTES, pre_buffer=False
        )
    except ERRORS as error:
        raise _unreadable(error) from None


def iterate_parquet(
    file: pyarrow.parquet.ParquetFile, num_rows: int, names: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the cells of the columns with these names in the file, in their order.

    Raises:
      ValueError: the file is damaged.
    """
    try:
        for batch in file.iter_batches(num_rows, columns=list(names)):
            yield batch.select(list(names))
    except ERRORS as error:
        raise _unreadable(error) from None


def to_numbers(
    cells: pa.Array, decimal: Decimal = "."
) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Convert cells to numbers as `columns.to_numbers` and `columns.is_text` do.

    >>> values, is_text = to_numbers(pa.array(["1.5", " NA", None, "x"]))
    >>> values.tolist(), is_text.tolist()
    ([1.5, nan, nan, nan], [False, False, False, True])

    Args:
      cells: numbers, booleans, strings or dictionaries; the latter are text.
      decimal: `,` if commas in text may be decimal; 10% is 10 if all cells end in %.

    Returns:
      Numbers, NaN where there is none; and flags of the cells that are text.
    """
    if pa.types.is_dictionary(cells.type):
        return np.full(len(cells), np.nan), np.asarray(cells.is_valid())
    is_text = np.zeros(len(cells), bool)
    for prepare_fn in (lambda cells: cells, lambda cells: _to_plain(cells, decimal)):
        try:
            pc.cast(prepare_fn(cells[:NUM_TRIED]), pa.float64())  # text fails slowly
            numbers = pc.cast(prepare_fn(cells), pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
        return np.array(numbers.to_numpy(zero_copy_only=False)), is_text
    if not _is_string(cells.type):  # such as dates, which `columns` refuses
        return np.full(len(cells), np.nan), is_text
    return _read_each(cells, decimal)


def plain_text(cells: pa.Array) -> pa.Array:
    """Strip strings, and return the values of dictionaries; others stay."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return pc.utf8_trim_whitespace(cells) if _is_string(cells.type) else cells


def to_frame(batch: pa.RecordBatch | pa.Table, first_row: int = 1) -> pd.DataFrame:
    """Return raw cells as pandas columns; the index counts the rows."""
    frame = batch.to_pandas(ignore_metadata=True)
    frame.index = pd.RangeIndex(first_row, first_row + len(frame), name="row")
    return frame


def _read_parquet(path: Path, indices: Sequence[int]) -> Iterator[pa.RecordBatch]:
    with open_parquet(path) as file:
        stored = file.schema_arrow.names
        names = [stored[index] for index in indices]
        num_rows = min(BATCH_ROWS, max(BATCH_CELLS // len(names), 1))
        yield from iterate_parquet(file, num_rows, names)


def _read_text(path: Path, indices: Sequence[int]) -> Iterator[pa.RecordBatch]:
    header, names = _read_header(path)
    numbers = [str(index) for index in range(len(names))]
    try:
        with (
            _open_bytes(path) as file,
            pyarrow.csv.open_csv(
                file,
                pyarrow.csv.ReadOptions(
                    block_size=BLOCK_BYTES,
                    column_names=numbers,
                    skip_rows_after_names=1,
                    encoding=formats.find_encoding(formats.read_start(path)),
                ),
                pyarrow.csv.ParseOptions(
                    delimiter=readers.find_delimiter(header), newlines_in_values=True
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(numbers, pa.string()),
                    include_columns=[numbers[index] for index in indices],
                ),
            ) as reader,
        ):
            yield from reader
    except ERRORS as error:
        _check_lines(path)
        cause = readers.first_line(error)
        raise ValueError(f"not a readable text file: {cause}") from None


def _read_header(path: Path) -> tuple[str, list[str]]:
    """Return the line of column names, and the names."""
    try:
        with formats.open_text(path) as file:
            header = readers.read_header(file)
            _, names = next(readers.iterate_rows(file), (1, []))
    except formats.GZIP_ERRORS as error:
        raise ValueError(f"not a readable gzip file: {error}") from None
    return header, names


def _check_lines(path: Path) -> None:
    """Raise the error that names the line, if there is one."""
    try:
        with formats.open_text(path) as file:
            collections.deque(readers.iterate_rows(file), maxlen=0)
    except formats.GZIP_ERRORS as error:
        raise ValueError(f"not a readable gzip file: {error}") from None


def _open_bytes(path: Path) -> pa.NativeFile:
    kind = "gzip" if formats.is_gzip(path) else None
    return pa.input_stream(path, compression=kind)


def _to_plain(cells: pa.Array, decimal: Decimal) -> pa.Array:
    """Return strings with null for missing cells and points as decimal marks."""
    cells = pc.utf8_trim_whitespace(cells)
    is_missing = pc.is_in(pc.utf8_lower(cells), pa.array(sorted(columns.MISSING)))
    cells = pc.if_else(is_missing, None, cells)
    if pc.all(pc.ends_with(cells, "%")).as_py():
        cells = pc.utf8_rtrim(cells, " %")
    return pc.replace_substring(cells, ",", ".") if decimal == "," else cells


def _read_each(
    cells: pa.Array, decimal: Decimal
) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Convert the distinct cells one by one."""
    cells = _to_plain(cells, decimal).dictionary_encode()
    text = pd.Series(cells.dictionary.to_pylist(), dtype=object)
    values = columns.to_numbers(text)
    codes = np.asarray(cells.indices.fill_null(len(text)))
    is_text = np.append(columns.is_text(text, values), False)
    return np.append(values, np.nan)[codes], is_text[codes]


def _is_string(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )


def _unreadable(error: Exception) -> ValueError:
    return ValueError(f"not a readable Parquet file: {readers.first_line(error)}")
