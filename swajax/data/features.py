"""Feature columns: conversion, checks, and removal of useless columns."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from swajax.data import columns
from swajax.data.messages import listed, shown

MAX_FEATURES = 2000  # inputs of a network; each category counts as one
MAX_CATEGORIES = 20


def read_features(
    frame: pd.DataFrame, names: Sequence[str], *, is_chosen: bool
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Convert the features and leave out useless ones.

    Args:
      frame: raw columns.
      names: names of the features.
      is_chosen: whether the user named them, so that an empty one is an error.

    Returns:
      Columns as `columns.parse` returns them, and notes for the user: columns left
      out, and text columns.

    Raises:
      ValueError: a column holds dates, text with too many values or numbers beyond
        1e100; there are too many features; or no feature varies.
    """
    parsed, notes = _parse_all(frame, names)
    left_out = _find_useless(parsed)
    if is_chosen and left_out["no values"]:
        empty = listed(left_out["no values"])
        raise ValueError(f"no values in the chosen features {empty}")
    for reason, useless in left_out.items():
        if useless:
            notes += (f"features left out, {reason}: {listed(useless)}",)
    useless = {name for names in left_out.values() for name in names}
    kept = {name: column for name, column in parsed.items() if name not in useless}
    _check_number(kept)
    return pd.DataFrame(kept), notes + _describe_categories(kept)


def is_constant(column: pd.Series) -> bool:
    """Return whether a parsed column is constant; for numbers, see `columns.fit_range`.

    Text that is missing in some rows and the same in all others is not constant.
    """
    if column.dtype == object:
        return column.nunique(dropna=False) < 2
    values = column.to_numpy()
    present = values[~np.isnan(values)]
    return len(present) == 0 or columns.is_constant(present)


def count_inputs(num_categories: int) -> int:
    """Return the number of inputs that encode a text column."""
    return 1 if num_categories == 2 else num_categories


def values_key(column: pd.Series) -> bytes:
    """Return a hash of the values of a parsed column, for comparisons."""
    if column.dtype == object:
        content = repr(column.tolist()).encode()
    else:
        content = (column.to_numpy() + 0.0).tobytes()  # -0.0 becomes 0.0
    return hashlib.sha256(content).digest()


def _parse_all(
    frame: pd.DataFrame, names: Sequence[str]
) -> tuple[dict[str, pd.Series], tuple[str, ...]]:
    parsed, faults, notes = {}, [], ()
    for name in names:
        try:
            column = columns.parse(frame[name])
            if column.dtype == object:
                notes += _check_categories(frame[name], column)
        except columns.UnusableColumnError as error:
            faults.append(str(error))
        else:
            columns.check_size(column)
            parsed[name] = column
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise ValueError(
            f"{'; '.join(faults[:3])}{more}: neither numbers nor at most "
            f"{MAX_CATEGORIES} categories; choose other columns with --features"
            + (f" among {listed(list(parsed))}" if parsed else "")
        )
    return parsed, notes


def _check_categories(raw: pd.Series, text: pd.Series) -> tuple[str, ...]:
    """Reject text with too many values; return a note if most cells are numbers."""
    num_different = text.nunique()
    name = shown(raw.name)
    is_few = num_different <= MAX_CATEGORIES and 2 * num_different < len(text)
    if columns.is_mostly_numbers(raw):
        fault = columns.describe_text(raw)
        if not is_few:
            raise ValueError(f"{fault}, unlike most of the column")
        return (f"{fault}: {name} is read as {num_different} categories",)
    if not is_few:
        kind = "dates" if columns.looks_like_dates(text) else "text"
        raise columns.UnusableColumnError(
            f"column {name} holds {kind} with {num_different} different values"
        )
    return ()


def _describe_categories(kept: dict[str, pd.Series]) -> tuple[str, ...]:
    """Return a note that lists the text columns and their numbers of values."""
    texts = [
        f"{shown(name)} ({column.nunique()} values)"
        for name, column in kept.items()
        if column.dtype == object
    ]
    if not texts:
        return ()
    more = f" and {len(texts) - 10} more" if len(texts) > 10 else ""
    return (f"text columns read as categories: {', '.join(texts[:10])}{more}",)


def _find_useless(parsed: dict[str, pd.Series]) -> dict[str, list[str]]:
    """Return the names of useless columns, by reason."""
    seen: dict[bytes, str] = {}
    nearly = "constant to the precision of float64"
    useless = {
        "no values": [],
        "constant": [],
        nearly: [],
        "copies of others": [],
    }
    for name, column in parsed.items():
        if column.isna().all():
            useless["no values"].append(name)
        elif is_constant(column):
            useless["constant" if column.nunique() < 2 else nearly].append(name)
        elif seen.setdefault(values_key(column), name) != name:
            useless["copies of others"].append(name)
    return useless


def _check_number(features: dict[str, pd.Series]) -> None:
    num_inputs = sum(
        count_inputs(column.nunique()) if column.dtype == object else 1
        for column in features.values()
    )
    if num_inputs == 0:
        raise ValueError("no feature varies")
    if num_inputs > MAX_FEATURES:
        raise ValueError(
            f"{num_inputs:,} features (each category counts as one), at most "
            f"{MAX_FEATURES:,} are possible: choose some with --features"
        )
