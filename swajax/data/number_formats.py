"""Decimal commas and percent signs in text cells, rewritten as plain numbers.

Commas are decimal only in files separated by semicolons or tabs, because `1,234` may
mean 1234 elsewhere.
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from pandas.api import types

from swajax.data import columns
from swajax.data.messages import listed

Decimal = Literal[".", ","]

_EXPONENT = r"(?:[eE][+-]?\d+)?"
_PATTERNS = {
    mark: re.compile(
        rf"([+-]?(?:\d+(?:{re.escape(mark)}\d*)?|{re.escape(mark)}\d+){_EXPONENT})\s*%?"
    )
    for mark in (".", ",")
}


def convert_columns(
    frame: pd.DataFrame, names: Sequence[str], *, decimal: Decimal
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Convert the columns in which all cells have decimal commas or percent signs.

    10% becomes 10. A column is not converted if only some of its cells have a percent
    sign, or if a cell is not a number.

    Args:
      frame: raw columns.
      names: columns to convert.
      decimal: `,` if commas may be decimal.

    Returns:
      The frame with plain numbers as text, and notes for the user.
    """
    changed, commas, percents = {}, [], []
    for name in names:
        cells = _find_cells(frame[name], decimal)
        if not cells:
            continue
        has_percent = any(cell.endswith("%") for cell in cells)
        if has_percent and not all(cell.endswith("%") for cell in cells):
            continue
        has_comma = any("," in cell for cell in cells)
        plain = {cell: _to_plain(cell, "," if has_comma else ".") for cell in cells}
        if None in plain.values():
            continue
        changed[name] = _replace(frame[name], plain)
        commas += [name] * has_comma
        percents += [name] * has_percent
    notes = ()
    if commas:
        notes += (f"commas read as decimal marks: {listed(commas)}",)
    if percents:
        notes += (f"percentages read as numbers, 10% as 10: {listed(percents)}",)
    return (frame.assign(**changed) if changed else frame), notes


def convert_cells(column: pd.Series, *, decimal: Decimal) -> tuple[pd.Series, int]:
    """Convert cells with decimal commas or percent signs, cell by cell.

    Args:
      column: raw cells of a numeric column.
      decimal: `,` if commas may be decimal.

    Returns:
      The column, and the number of cells that had a percent sign.
    """
    cells = _find_cells(column, decimal)
    marked = {cell for cell in cells if cell.endswith("%") or "," in cell}
    plain = {}
    for cell in marked:
        number = _to_plain(cell, "," if decimal == "," and "," in cell else ".")
        if number is not None:
            plain[cell] = number
    if not plain:
        return column, 0
    is_percent = [str(cell).strip().endswith("%") for cell in column]
    return _replace(column, plain), int(np.sum(is_percent))


def _find_cells(column: pd.Series, decimal: Decimal) -> set[str]:
    """Return the distinct present cells if any has a mark to convert."""
    if not (types.is_object_dtype(column.dtype) or types.is_string_dtype(column.dtype)):
        return set()
    # One search of the joined text is much faster than one per cell.
    text = "".join(cell for cell in column.tolist() if isinstance(cell, str))
    if "%" not in text and (decimal == "." or "," not in text):
        return set()
    return {cell for cell in columns.to_text(column) if cell is not None}


def _to_plain(cell: str, mark: Decimal) -> str | None:
    """Return the number in a cell, with a decimal point; None if there is none."""
    match = _PATTERNS[mark].fullmatch(cell)
    return match[1].replace(",", ".") if match else None


def _replace(column: pd.Series, plain: dict[str, str]) -> pd.Series:
    cells = [
        plain.get(cell.strip(), cell) if isinstance(cell, str) else cell
        for cell in column
    ]
    return pd.Series(cells, column.index, dtype=object, name=column.name)
