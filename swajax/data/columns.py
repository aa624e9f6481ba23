"""One column of a table as numbers or as text, whatever type it was stored in."""

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

LARGEST = 1e100  # squares of larger numbers overflow when the table is scaled
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
BOOLEANS = {"false": 0.0, "true": 1.0}

_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b")


class UnusableColumnError(ValueError):
    """A whole column that is neither numbers nor text of a few categories."""


def parse(column: pd.Series) -> pd.Series:
    """Float64 with NaN for missing cells, or objects: stripped text and None.

    Booleans are numbers, 0 and 1. A column of the pandas type `category` is text, of
    whatever its categories are.

    Raises:
      UnusableColumnError: dates, complex numbers, lists: neither numbers nor text.
    """
    _refuse_other_types(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _like(column, to_text(column))
    values = to_numbers(column)
    if not is_word(column, values).any():
        return _like(column, values)
    text = to_text(column)
    if is_boolean(column):
        flags = [np.nan if cell is None else BOOLEANS[cell.casefold()] for cell in text]
        return _like(column, np.array(flags))
    return _like(column, text)


def to_numbers(column: pd.Series) -> Float[np.ndarray, " N"]:
    """Each cell as a number, NaN where it is none."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if not types.is_numeric_dtype(column.dtype):
        column = pd.to_numeric(column, errors="coerce")
    return column.to_numpy(np.float64, na_value=np.nan)


def to_text(column: pd.Series) -> np.ndarray:
    """Each cell as stripped text, None where it is missing; 1.0 is `1`."""
    text = np.empty(len(column), dtype=object)
    text[:] = [_cell_text(cell) for cell in column.astype(object)]
    return text


def is_missing(column: pd.Series) -> Bool[np.ndarray, " N"]:
    """Which raw cells hold nothing, or a word for it."""
    _refuse_other_types(column)
    values = to_numbers(column)
    return np.isnan(values) & ~is_word(column, values)


def is_word(
    column: pd.Series, values: Float[np.ndarray, " N"]
) -> Bool[np.ndarray, " N"]:
    """Which cells are neither numbers nor missing, given their `to_numbers`."""
    is_other = np.isnan(values)
    if is_other.any():
        is_other[is_other] = [cell is not None for cell in to_text(column[is_other])]
    return is_other


def is_boolean(column: pd.Series) -> bool:
    """Whether all present cells are true or false, in any spelling of case."""
    if types.is_bool_dtype(column.dtype):
        return True
    if types.is_numeric_dtype(column.dtype):
        return False
    words = {cell.casefold() for cell in to_text(column) if cell is not None}
    return bool(words) and words <= set(BOOLEANS)


def is_mostly_numbers(column: pd.Series) -> bool:
    """Whether at least half of the raw cells that are not missing are numbers.

    A column of the pandas type `category` is text, as `parse` has it.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    is_number = ~np.isnan(to_numbers(column))
    num_words = is_word(column, to_numbers(column)).sum()
    return bool(is_number.sum() >= max(num_words, 1))


def describe_word(column: pd.Series) -> str:
    """The first raw cell that is text, its place, and that it is no number."""
    row = int(np.argmax(is_word(column, to_numbers(column))))
    cell = to_text(column.iloc[[row]])[0]
    return f"{place(column, row)}: {shown(cell)} is not a number"


def is_constant(values: Float[np.ndarray, " N"]) -> bool:
    """Whether a column varies too little to be scaled, relative to its size."""
    spread = np.ptp(values)
    return bool(spread <= 1e-9 * np.abs(values).max() or spread < 1 / LARGEST)


def looks_like_dates(column: pd.Series) -> bool:
    """Whether the present cells of a text column all begin as dates do."""
    return all(_DATE.match(cell) for cell in column if cell is not None)


def check_size(column: pd.Series) -> None:
    """Refuse infinite and enormous numbers, by their place; text passes."""
    if column.dtype == object:
        return
    is_bad = np.abs(column.to_numpy()) > LARGEST
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise ValueError(
            f"{place(column, row)}: {column.iloc[row]:g} is infinite or beyond "
            f"{LARGEST:g}"
        )


def place(column: pd.Series, row: int) -> str:
    """Where a cell stands: the index of a frame is named by what it counts."""
    kind = column.index.name or "row"
    return f"{kind} {column.index[row]}, column {shown(column.name)}"


def _like(column: pd.Series, values: np.ndarray) -> pd.Series:
    # Without its type, pandas 3 takes an array of strings for `str`, and None for NaN.
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


def _refuse_other_types(column: pd.Series) -> None:
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
