"""From the columns of a table to the inputs of a network, fitted on training rows.

An encoder is a few plain numbers and names a column, so that it can be written to a
file and done again in any language:

- numeric: `x * scale + offset`, in [-1, 1] on the training rows; missing cells are
  filled with the median of the training rows first.
- two categories: one input, -1 for the first, +1 for the second in the order of the
  letters, 0 for missing and unseen ones.
- any other number of categories: an input for each, 1 or 0; all 0 for missing and
  unseen ones.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32

from swajax.data import columns, features
from swajax.data.messages import listed, shown

FIELDS = {
    "numeric": ("name", "kind", "fill", "scale", "offset"),
    "category": ("name", "kind", "categories"),
}
LARGEST_INPUT = 1e30  # a single of these would make a float32 network overflow


class Column(NamedTuple):
    """How one column is read; a numeric one has no categories."""

    name: str
    kind: Literal["numeric", "category"]
    fill: float = 0.0  # of missing cells, in the units of the column
    scale: float = 1.0
    offset: float = 0.0
    categories: tuple[str, ...] = ()


class TableEncoder(NamedTuple):
    """Columns in the order of the inputs."""

    columns: tuple[Column, ...]


def fit_encoder(frame: pd.DataFrame) -> tuple[TableEncoder, tuple[str, ...]]:
    """An encoder of the training rows, and notes for the user.

    Columns that are constant in these rows are left out, with a note; so is told what
    missing cells are filled with.

    Args:
      frame: columns as in `tables.Table.frame`, of the training rows only.

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
    """Rows as inputs of a network; columns are found by name, others ignored.

    Raises:
      ValueError: a column is missing or there twice, or holds what cannot be read.
    """
    if not frame.columns.is_unique:
        raise ValueError("a column name appears more than once")
    missing = [column.name for column in encoder.columns if column.name not in frame]
    if missing:
        raise ValueError(
            f"missing columns {listed(missing)}; there are {listed(list(frame))}"
        )
    inputs = [
        _encode_numbers(column, frame[column.name])
        if column.kind == "numeric"
        else _encode_categories(column, frame[column.name])
        for column in encoder.columns
    ]
    return np.concatenate(inputs, axis=1, dtype=np.float32)


def input_names(encoder: TableEncoder) -> tuple[str, ...]:
    """A name an input, in their order: `age`, `color=red`."""
    return tuple(
        name if kind == "numeric" else f"{name}={category}"
        for name, kind, *_, categories in encoder.columns
        for category in (categories[1:] if len(categories) == 2 else categories or [""])
    )


def encoder_to_dict(encoder: TableEncoder) -> dict[str, Any]:
    """The encoder as values that JSON knows."""
    return {"columns": [_column_to_dict(column) for column in encoder.columns]}


def encoder_from_dict(values: Any) -> TableEncoder:
    """The encoder that `encoder_to_dict` wrote.

    Raises:
      ValueError: something else, naming what is wrong.
    """
    _check_fields(values, ("columns",), "the encoder")
    if not isinstance(values["columns"], list) or not values["columns"]:
        raise ValueError("the encoder's columns must be a list of at least one")
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
    values = column.to_numpy()
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return Column(
        column.name,
        "numeric",
        fill=float(np.nanmedian(values)),
        scale=2.0 / (high - low),
        offset=-(low + high) / (high - low),
    )


def _encode_numbers(column: Column, cells: pd.Series) -> Float[np.ndarray, "N 1"]:
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    parsed = columns.parse(cells)
    if parsed.dtype == object:
        raise ValueError(columns.describe_word(cells))
    values = parsed.fillna(column.fill).to_numpy()
    inputs = values * column.scale + column.offset
    is_bad = ~(np.abs(inputs) <= LARGEST_INPUT)
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise ValueError(
            f"{columns.place(cells, row)}: {values[row]:g} is infinite, or beyond all "
            "bounds of the training rows"
        )
    return inputs[:, None]


def _encode_categories(column: Column, cells: pd.Series) -> Float[np.ndarray, "N C"]:
    is_category = columns.to_text(cells)[:, None] == np.array(
        column.categories, dtype=object
    )
    if len(column.categories) == 2:
        return is_category @ np.array([[-1.0], [1.0]])
    return is_category.astype(np.float64)


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
        raise ValueError(f"{where} must be of the kind {' or '.join(FIELDS)}")
    _check_fields(values, FIELDS[kind], where)
    if not isinstance(values["name"], str):
        raise ValueError(f"{where}: the name must be text")
    if kind == "category":
        return _check_category(Column(**values), where)
    numbers = [values[field] for field in ("fill", "scale", "offset")]
    for number in numbers:
        if type(number) not in (int, float) or not abs(number) <= sys.float_info.max:
            raise ValueError(f"{where}: {shown(str(number))} is no finite number")
    if numbers[1] <= 0:
        raise ValueError(f"{where}: the scale must be above 0, it is {numbers[1]}")
    return Column(values["name"], kind, *map(float, numbers))


def _check_category(column: Column, where: str) -> Column:
    categories = column.categories
    if not isinstance(categories, list) or not categories:
        raise ValueError(f"{where}: categories must be a list of at least one")
    if not all(isinstance(category, str) for category in categories):
        raise ValueError(f"{where}: categories must be text")
    if len(set(categories)) < len(categories):
        raise ValueError(f"{where}: a category appears twice")
    return column._replace(categories=tuple(categories))


def _check_fields(values: Any, fields: Sequence[str], where: str) -> None:
    if not isinstance(values, Mapping) or set(values) != set(fields):
        raise ValueError(f"{where} must have the fields {', '.join(fields)}")
