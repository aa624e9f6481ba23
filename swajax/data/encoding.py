"""Encoding of the columns of a table as inputs of a network.

An encoder is fitted to training rows. It consists of a few numbers and names per
column, so that it can be written to a file and applied in any language:

- numeric: missing cells are filled with the median of the training rows, then
  `x * scale + offset`, in [-1, 1] on the training rows;
- two categories: one input, -1 for the alphabetically first, +1 for the second, 0 for
  missing and unseen ones;
- any other number of categories: one input per category, 1 or 0; all are 0 for missing
  and unseen ones.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32

from swajax.data import columns, features
from swajax.data.messages import listed, shown

FIELDS = {
    "numeric": ("name", "kind", "fill", "scale", "offset"),
    "category": ("name", "kind", "categories"),
}
LARGEST_INPUT = 1e30  # larger inputs overflow in a float32 network


class Column(NamedTuple):
    """Encoding of one column; only numeric columns have fill, scale and offset."""

    name: str
    kind: Literal["numeric", "category"]
    fill: float = 0.0
    """value for missing cells, in the units of the column"""
    scale: float = 1.0
    offset: float = 0.0
    categories: tuple[str, ...] = ()
    """categories in alphabetical order; () for a numeric column"""


class TableEncoder(NamedTuple):
    """Columns in the order of the inputs."""

    columns: tuple[Column, ...]


class EncodedRows(NamedTuple):
    """Rows as inputs of a network, and counts of filled and unreadable cells."""

    inputs: Float32[np.ndarray, "N I"]
    is_faulty: Bool[np.ndarray, " N"]
    """flags of rows with an unreadable cell, whose inputs are meaningless"""
    faults: tuple[str, ...]
    """one message per column, about its first unreadable cell"""
    num_filled: dict[str, int]
    """number of missing cells, by column with missing cells"""
    num_unseen: dict[str, int]
    """number of cells with a category unseen in training, by column"""


def fit_encoder(frame: pd.DataFrame) -> tuple[TableEncoder, tuple[str, ...]]:
    """Fit an encoder to the training rows.

    Args:
      frame: columns as in `tables.Table.frame`, of the training rows only. Columns that
        are constant in these rows are left out.

    Returns:
      The encoder, and notes for the user: columns left out, and number and replacement
      of missing cells.

    Raises:
      ValueError: no column varies.
    """
    parsed = {name: columns.parse(frame[name]) for name in frame}
    constant = [name for name, cells in parsed.items() if features.is_constant(cells)]
    if len(constant) == len(parsed):
        raise ValueError("no feature varies in the training rows")
    notes = ()
    if constant:
        notes = (f"features left out, constant in training: {listed(constant)}",)
    varying = [cells for name, cells in parsed.items() if name not in set(constant)]
    encoder = TableEncoder(tuple(map(_fit_column, varying)))
    return encoder, notes + _describe_fills(encoder, parsed)


def encode(encoder: TableEncoder, frame: pd.DataFrame) -> Float32[np.ndarray, "N I"]:
    """Encode rows as inputs of a network.

    >>> column = Column("age", "numeric", fill=20.0, scale=0.1, offset=-2.0)
    >>> encode(TableEncoder((column,)), pd.DataFrame({"age": [10, None, "30"]}))
    array([[-1.],
           [ 0.],
           [ 1.]], dtype=float32)

    Args:
      encoder: a fitted encoder.
      frame: raw columns, found by name; other columns are ignored.

    Raises:
      ValueError: a column is missing, its name appears twice, or a cell cannot be read.
    """
    rows = encode_rows(encoder, frame)
    if rows.faults:
        raise ValueError(rows.faults[0])
    return rows.inputs


def encode_rows(encoder: TableEncoder, frame: pd.DataFrame) -> EncodedRows:
    """Encode rows as `encode` does, but mark rows that cannot be read.

    Raises:
      ValueError: a column is missing, its name appears twice, or it holds dates, lists
        or complex numbers.
    """
    if not frame.columns.is_unique:
        raise ValueError("a column name appears more than once")
    missing = [column.name for column in encoder.columns if column.name not in frame]
    if missing:
        raise ValueError(
            f"missing columns {listed(missing)}; the table has {listed(list(frame))}"
        )
    encoded = [
        _encode_numbers(column, frame[column.name])
        if column.kind == "numeric"
        else _encode_categories(column, frame[column.name])
        for column in encoder.columns
    ]
    return EncodedRows(
        np.concatenate([one.inputs for one in encoded], axis=1, dtype=np.float32),
        np.any([one.is_faulty for one in encoded], axis=0),
        tuple(fault for one in encoded for fault in one.faults),
        {name: num for one in encoded for name, num in one.num_filled.items()},
        {name: num for one in encoded for name, num in one.num_unseen.items()},
    )


def input_names(encoder: TableEncoder) -> tuple[str, ...]:
    """Return one name per input, in order: `age`, `color=red`."""
    return tuple(
        name if kind == "numeric" else f"{name}={category}"
        for name, kind, *_, categories in encoder.columns
        for category in (categories[1:] if len(categories) == 2 else categories or [""])
    )


def encoder_to_dict(encoder: TableEncoder) -> dict[str, Any]:
    """Return the encoder as JSON values."""
    return {"columns": [_column_to_dict(column) for column in encoder.columns]}


def encoder_from_dict(values: Any) -> TableEncoder:
    """Rebuild an encoder from the values of `encoder_to_dict`.

    Raises:
      ValueError: the values are not an encoder; the message names the fault.
    """
    _check_fields(values, ("columns",), "the encoder")
    if not isinstance(values["columns"], list) or not values["columns"]:
        raise ValueError("the encoder's columns must be a non-empty list")
    read = [
        _column_from_dict(column, f"column {number} of the encoder")
        for number, column in enumerate(values["columns"], 1)
    ]
    repeated = [name for name, n in Counter(c.name for c in read).items() if n > 1]
    if repeated:
        raise ValueError(f"two columns of the encoder are named {shown(repeated[0])}")
    return TableEncoder(tuple(read))


def _fit_column(column: pd.Series) -> Column:
    if column.dtype == object:
        categories = tuple(sorted(set(column.dropna())))
        return Column(column.name, "category", categories=categories)
    values = column.dropna().to_numpy()
    center, half_range = map(float, columns.fit_range(values))
    return Column(
        column.name,
        "numeric",
        fill=float(np.median(values)),
        scale=1 / half_range,
        offset=-center / half_range,
    )


def _encode_numbers(column: Column, cells: pd.Series) -> EncodedRows:
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    values, is_text = columns.parse_cells(cells)
    is_filled = np.isnan(values) & ~is_text
    values[is_filled] = column.fill
    inputs = values * column.scale + column.offset
    is_faulty = ~(np.abs(inputs) <= LARGEST_INPUT)  # text is NaN
    faults = ()
    if is_text.any():
        faults = (columns.describe_text(cells, int(np.argmax(is_text))),)
    elif is_faulty.any():
        row = int(np.argmax(is_faulty))
        faults = (
            f"{columns.locate(cells, row)}: {values[row]:g} is infinite, or beyond all "
            "bounds of the training rows",
        )
    inputs[is_faulty] = 0.0
    filled = _count(column, is_filled)
    return EncodedRows(inputs[:, None], is_faulty, faults, filled, {})


def _encode_categories(column: Column, cells: pd.Series) -> EncodedRows:
    if isinstance(cells.dtype, pd.CategoricalDtype):  # few distinct cells
        own = columns.to_text(pd.Series(cells.cat.categories, dtype=object))
        text = np.append(own, None)[cells.cat.codes]
    else:
        text = columns.to_text(cells)
    is_category = text[:, None] == np.array(column.categories, dtype=object)
    is_filled = np.array([cell is None for cell in text], dtype=bool)
    is_unseen = ~is_filled & ~is_category.any(axis=1)
    inputs = is_category.astype(np.float64)
    if len(column.categories) == 2:
        inputs = is_category @ np.array([[-1.0], [1.0]])
    counts = _count(column, is_filled), _count(column, is_unseen)
    return EncodedRows(inputs, np.zeros(len(text), bool), (), *counts)


def _count(column: Column, is_counted: Bool[np.ndarray, " N"]) -> dict[str, int]:
    return {column.name: int(is_counted.sum())} if is_counted.any() else {}


def _describe_fills(
    encoder: TableEncoder, parsed: Mapping[str, pd.Series]
) -> tuple[str, ...]:
    fills = []
    for column in encoder.columns:
        cells = parsed[column.name]
        if cells.isna().any():
            fill = (
                f"by {column.fill:g}" if column.kind == "numeric" else "by no category"
            )
            fills.append(f"{shown(column.name)} {cells.isna().sum()} {fill}")
    if not fills:
        return ()
    more = f" and {len(fills) - 10} more columns" if len(fills) > 10 else ""
    return (
        f"missing cells replaced in {len(cells)} training rows: "
        f"{', '.join(fills[:10])}{more}",
    )


def _column_to_dict(column: Column) -> dict[str, Any]:
    values = {field: getattr(column, field) for field in FIELDS[column.kind]}
    if column.kind == "category":
        values["categories"] = list(column.categories)
    return values


def _column_from_dict(values: Any, where: str) -> Column:
    kind = values.get("kind") if isinstance(values, Mapping) else None
    if not isinstance(kind, str) or kind not in FIELDS:
        raise ValueError(f"{where}: kind must be {' or '.join(FIELDS)}")
    _check_fields(values, FIELDS[kind], where)
    if not isinstance(values["name"], str):
        raise ValueError(f"{where}: the name must be text")
    if kind == "category":
        return _check_category(Column(**values), where)
    numbers = [values[field] for field in ("fill", "scale", "offset")]
    for number in numbers:
        if type(number) not in (int, float) or not abs(number) <= sys.float_info.max:
            raise ValueError(f"{where}: {shown(str(number))} is not a finite number")
    if numbers[1] <= 0:
        raise ValueError(f"{where}: the scale must be > 0, got {numbers[1]}")
    return Column(values["name"], kind, *map(float, numbers))


def _check_category(column: Column, where: str) -> Column:
    categories = column.categories
    if not isinstance(categories, list) or not categories:
        raise ValueError(f"{where}: categories must be a non-empty list")
    if not all(isinstance(category, str) for category in categories):
        raise ValueError(f"{where}: categories must be text")
    if len(set(categories)) < len(categories):
        raise ValueError(f"{where}: a category appears twice")
    return column._replace(categories=tuple(categories))


def _check_fields(values: Any, fields: Sequence[str], where: str) -> None:
    if not isinstance(values, Mapping) or set(values) != set(fields):
        raise ValueError(f"{where} must have the fields {', '.join(fields)}")
