"""Conversion of one column of a table, of any type, to numbers or text."""

import datetime
import decimal
import numbers
import re
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from pandas.api import types

from swajax.data.messages import shown

LARGEST = 1e100  # the squares of larger numbers overflow during scaling
RESOLUTION = 64 * np.finfo(np.float64).eps  # relative range of a constant column
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
BOOLEANS = {"false": 0.0, "true": 1.0}

_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b")


class UnusableColumnError(ValueError):
    """A column holds neither numbers nor text of few categories."""


def parse(column: pd.Series) -> pd.Series:
    """Convert a column to numbers or to text.

    Booleans become the numbers 0 and 1. A column of the pandas type `category` becomes
    text, even if its categories are numbers.

    Returns:
      Either float64 with NaN for missing cells, or objects: stripped text and None.

    Raises:
      UnusableColumnError: the column holds dates, complex numbers or lists.
    """
    check_type(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _like(column, to_text(column))
    values = to_numbers(column)
    if not is_text(column, values).any():
        return _like(column, values)
    text = to_text(column)
    if is_boolean(column):
        flags = [np.nan if cell is None else BOOLEANS[cell.casefold()] for cell in text]
        return _like(column, np.array(flags))
    return _like(column, text)


def parse_cells(
    column: pd.Series,
) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Convert each cell to a number, independently of the other cells.

    Returns:
      Numbers (true and false as 1 and 0), NaN where there is none; and flags of the
      cells that are text but not a number.

    Raises:
      UnusableColumnError: the column holds dates, complex numbers or lists.
    """
    check_type(column)
    values = to_numbers(column)
    is_other = is_text(column, values)
    rows = np.flatnonzero(is_other)
    text = to_text(column.iloc[rows])
    values[rows] = [BOOLEANS.get(cell.casefold(), np.nan) for cell in text]
    return values, is_other & np.isnan(values)


def to_numbers(column: pd.Series) -> Float[np.ndarray, " N"]:
    """Convert each cell to a number, or to NaN if it is not a number."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if not types.is_numeric_dtype(column.dtype):
        column = pd.to_numeric(column, errors="coerce")
    return np.array(column.to_numpy(np.float64, na_value=np.nan))


def to_text(column: pd.Series) -> np.ndarray:
    """Convert each cell to stripped text, or to None if it is missing; 1.0 is `1`."""
    text = np.empty(len(column), dtype=object)
    text[:] = [_cell_text(cell) for cell in column.astype(object)]
    return text


def is_missing(column: pd.Series) -> Bool[np.ndarray, " N"]:
    """Flag the raw cells that are empty or hold a word such as NA."""
    check_type(column)
    values = to_numbers(column)
    return np.isnan(values) & ~is_text(column, values)


def is_text(
    column: pd.Series, values: Float[np.ndarray, " N"]
) -> Bool[np.ndarray, " N"]:
    """Flag the cells that are neither numbers nor missing.

    Args:
      column: raw cells.
      values: the same cells converted by `to_numbers`.
    """
    is_other = np.isnan(values)
    if is_other.any():
        is_other[is_other] = [cell is not None for cell in to_text(column[is_other])]
    return is_other


def is_boolean(column: pd.Series) -> bool:
    """Return whether all present cells are true or false, in any case."""
    if types.is_bool_dtype(column.dtype):
        return True
    if types.is_numeric_dtype(column.dtype):
        return False
    words = {cell.casefold() for cell in to_text(column) if cell is not None}
    return bool(words) and words <= set(BOOLEANS)


def is_mostly_numbers(column: pd.Series) -> bool:
    """Return whether at least half of the raw cells that are not missing are numbers.

    False for a column of the pandas type `category`, which is text.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    is_number = ~np.isnan(to_numbers(column))
    num_text = is_text(column, to_numbers(column)).sum()
    return bool(is_number.sum() >= max(num_text, 1))


def describe_text(column: pd.Series, row: int | None = None) -> str:
    """Return the message that a cell (by default the first text) is not a number."""
    if row is None:
        row = int(np.argmax(is_text(column, to_numbers(column))))
    cell = to_text(column.iloc[[row]])[0]
    return f"{locate(column, row)}: {shown(cell)} is not a number"


def fit_range(
    values: Float[np.ndarray, "N ..."],
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Return the centers and half-ranges of columns; 0 for the range of a constant.

    A column is constant if its range is below 1e-100, or at most 64 times the
    resolution of float64 at its largest absolute value.
    """
    # Halve first, because the range of finite numbers may overflow.
    low, high = values.min(axis=0) / 2, values.max(axis=0) / 2
    largest = np.maximum(np.abs(low), np.abs(high))
    half_range = np.asarray(high - low)
    varies = (half_range > RESOLUTION * largest) & (half_range >= 0.5 / LARGEST)
    return np.asarray(low + high), np.where(varies, half_range, 0.0)


def is_constant(values: Float[np.ndarray, " N"]) -> bool:
    """Return whether a column is constant, as defined by `fit_range`.

    >>> is_constant(np.array([1e9, 1e9 + 1e-3]))
    False
    >>> is_constant(np.array([0.1 + 0.2, 0.3]))
    True
    """
    return bool(fit_range(values)[1] == 0)


def looks_like_dates(column: pd.Series) -> bool:
    """Return whether all present cells of a text column begin with a date."""
    return all(_DATE.match(cell) for cell in column if cell is not None)


def check_size(column: pd.Series) -> None:
    """Check that all numbers of a parsed column are finite and at most 1e100.

    Raises:
      ValueError: a number is not; the message names its row and column.
    """
    if column.dtype == object:
        return
    is_bad = np.abs(column.to_numpy()) > LARGEST
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise ValueError(
            f"{locate(column, row)}: {column.iloc[row]:g} is infinite or beyond "
            f"{LARGEST:g}"
        )


def locate(column: pd.Series, row: int) -> str:
    """Return the location of a cell: line or row number, and column name.

    The index is named `line` if it counts lines of a file, else `row`.
    """
    kind = column.index.name or "row"
    return f"{kind} {column.index[row]}, column {shown(column.name)}"


def _like(column: pd.Series, values: np.ndarray) -> pd.Series:
    # Without a dtype, pandas 3 reads an array of strings as `str`, and None as NaN.
    return pd.Series(values, column.index, dtype=values.dtype, name=column.name)


def _cell_text(cell: Any) -> str | None:
    if isinstance(cell, str):
        cell = cell.strip()
        return None if cell.casefold() in MISSING else cell
    if cell is None or pd.isna(cell):
        return None
    if isinstance(cell, numbers.Real) and not isinstance(cell, bool | np.bool_):
        number = float(cell)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(cell)


def check_type(column: pd.Series) -> None:
    """Refuse columns of dates, complex numbers, time differences, lists and bytes."""
    dtype, name = column.dtype, shown(column.name)
    cells = column.dropna() if types.is_object_dtype(dtype) else ()
    is_date = types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype)
    if is_date or any(isinstance(cell, datetime.date) for cell in cells):
        raise UnusableColumnError(f"column {name} holds dates")
    if types.is_complex_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        raise UnusableColumnError(
            f"column {name} holds {dtype}, neither numbers nor text"
        )
    for cell in cells:
        if not isinstance(cell, str | numbers.Real | decimal.Decimal | np.bool_):
            raise UnusableColumnError(
                f"column {name} holds {type(cell).__name__}, neither numbers nor text"
            )
