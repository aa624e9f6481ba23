"""One table of numbers, from a text file or built in, checked cell by cell."""

import difflib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from sklearn import datasets

from swajax.data import functions

MAX_FEATURES = 3
MIN_ROWS = 10
LARGEST = 1e100  # squares of larger numbers overflow when the table is scaled
MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


class Table(NamedTuple):
    """Numeric columns, in the units of the file."""

    x: Float[np.ndarray, "N I"]
    y: Float[np.ndarray, " N"]
    features: tuple[str, ...]
    target: str
    source: str  # what `load_table` was asked for


def load_table(
    data: str, *, target: str | None = None, features: Sequence[str] | None = None
) -> Table:
    """A table from a CSV or TSV file, or a built-in one.

    A file is UTF-8 text with the column names in its first line, separated by commas,
    semicolons or tabs. Columns without a name (a saved row index) are ignored.

    Args:
      data: path of the file, or a built-in name: `diabetes` and `iris` (scikit-learn's,
        unscaled) or one of `functions.FUNCTIONS`; `./diabetes` would be a file.
      target: column to predict; built-in tables have a default.
      features: at most three columns to predict from; by default all others.

    Raises:
      FileNotFoundError: no such file and no such built-in table.
      ValueError: anything wrong inside, naming file, column and line.
    """
    built_in = _built_in(data)
    if built_in is None:
        frame = _read_text(data)
    else:
        frame, default_target, default_features = built_in
        target = target or default_target
        if features is None and target == default_target:
            features = default_features
    target, features = _choose_columns(frame, data, target, features)
    if len(frame) < MIN_ROWS:
        raise ValueError(
            f"{data}: {len(frame)} rows of data, at least {MIN_ROWS} are needed"
        )
    columns = [_numbers(frame[name], data) for name in (*features, target)]
    x, y = np.stack(columns[:-1], axis=1), columns[-1]
    return Table(x, y, features, target, data)


def is_constant(values: Float[np.ndarray, " N"]) -> bool:
    """Whether a column varies too little to be scaled, relative to its size."""
    spread = np.ptp(values)
    return bool(spread <= 1e-9 * np.abs(values).max() or spread < 1 / LARGEST)


def _built_in(data: str) -> tuple[pd.DataFrame, str, tuple[str, ...]] | None:
    """The frame, its target and its features, if the name is a built-in one's."""
    if data.casefold() == "diabetes":
        frame = datasets.load_diabetes(as_frame=True, scaled=False).frame
        return frame, "target", ("bmi", "bp", "s5")
    if data.casefold() == "iris":
        frame = datasets.load_iris(as_frame=True).data
        frame.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
        return frame, "petal_width", ("sepal_length", "sepal_width", "petal_length")
    is_path = Path(data).name != data  # ./sphere is a file
    name = None if is_path else functions.canonical_name(data)
    if name is None:
        return None
    points, values = functions.sample_points(name, seed=0, num_points=5000)
    frame = pd.DataFrame({"x1": points[:, 0], "x2": points[:, 1], "y": values})
    return frame, "y", ("x1", "x2")


def _read_text(data: str) -> pd.DataFrame:
    """Cells as strings, one row a line; the index is the line number in the file."""
    text = _decode(data)
    header = text.partition("\n")[0]
    if not header.strip():
        raise ValueError(f"{data}: line 1 must hold the column names, it is blank")
    try:
        cells = pd.read_csv(
            io.StringIO(text),
            sep=max(",;\t", key=header.count),
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
        )
    except pd.errors.ParserError as error:
        cause = str(error).partition("C error: ")[2].strip() or "malformed"
        raise ValueError(f"{data}: not a table of equal lines: {cause}") from None
    names = [name.strip() for name in cells.iloc[0]]
    is_blank = (cells == "").all(axis=1)
    last = is_blank[~is_blank].index[-1]  # blank lines at the end are no rows
    frame = cells.iloc[1 : last + 1].set_axis(names, axis=1)
    frame.index += 1
    _check_names(names, data)
    if frame.empty:
        raise ValueError(f"{data}: only a line of column names, no rows of data")
    return frame.loc[:, [bool(name) for name in names]]


def _decode(data: str) -> str:
    path = Path(data)
    if path.is_dir():
        raise ValueError(f"{data}: is a folder, expected a CSV or TSV file")
    if not path.is_file():
        names = ["diabetes", "iris", *functions.FUNCTIONS]
        raise FileNotFoundError(
            f"no such file: {data!r}{_did_you_mean(data, names)} "
            f"(built-in tables: {', '.join(names)})"
        )
    raw = path.read_bytes()
    if not raw.strip():
        raise ValueError(f"{data}: the file is empty")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(f"{data}: line {line} is not UTF-8 text") from None
    if "\0" in text:
        raise ValueError(f"{data}: holds zero bytes, expected a CSV or TSV text file")
    return text


def _check_names(names: list[str], data: str) -> None:
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise ValueError(f"{data}: column name {repeated[0]!r} appears more than once")
    if not pd.to_numeric(pd.Series(names), errors="coerce").isna().any():
        raise ValueError(
            f"{data}: line 1 must hold the column names, it holds numbers only"
        )


def _choose_columns(
    frame: pd.DataFrame,
    data: str,
    target: str | None,
    features: Sequence[str] | None,
) -> tuple[str, tuple[str, ...]]:
    columns = list(frame.columns)
    if target is None:
        raise ValueError(f"{data}: choose the --target out of {_listed(columns)}")
    for name in (target, *(features or ())):
        if name not in columns:
            raise ValueError(
                f"{data}: no column {name!r}{_did_you_mean(name, columns)}; "
                f"there are {_listed(columns)}"
            )
    if features is None:
        features = [name for name in columns if name != target]
    if target in features:
        raise ValueError(f"{data}: the target {target!r} is among the features")
    if len(set(features)) < len(features):
        raise ValueError(f"{data}: a feature is named twice: {_listed(features)}")
    if not 1 <= len(features) <= MAX_FEATURES:
        numeric = [
            name for name in columns if name != target and _is_numeric(frame, name)
        ]
        raise ValueError(
            f"{data}: {len(features)} features, one to {MAX_FEATURES} are possible so "
            f"far: choose by --features out of the numeric columns {_listed(numeric)}"
        )
    return target, tuple(features)


def _is_numeric(frame: pd.DataFrame, name: str) -> bool:
    return bool(pd.to_numeric(frame[name], errors="coerce").notna().all())


def _numbers(column: pd.Series, data: str) -> Float[np.ndarray, " N"]:
    """One column as float64, or the first cell that is no finite number."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    is_bad = ~(np.abs(values) <= LARGEST)
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise ValueError(
            f"{data}: line {column.index[row]}, column {column.name!r}: "
            f"{_fault(str(column.iloc[row]), values[row])}; every cell of a chosen "
            f"column must be a finite number"
        )
    if is_constant(values):
        raise ValueError(
            f"{data}: column {column.name!r} is constant ({values[0]:g}); "
            f"features and target must vary"
        )
    return values


def _fault(cell: str, value: float) -> str:
    if cell.strip().casefold() in MISSING:
        return "the value is missing"
    shown = repr(cell if len(cell) <= 40 else cell[:37] + "...")
    if np.isnan(value):
        return f"{shown} is not a number"
    return f"{shown} is infinite or beyond {LARGEST:g}"


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    by_fold = {str(item).casefold(): item for item in known}
    close = difflib.get_close_matches(name.casefold(), list(by_fold), n=1)
    return f" (did you mean {by_fold[close[0]]!r}?)" if close else ""


def _listed(names: Sequence[str], most: int = 20) -> str:
    """Names as one line, however many there are and whatever they hold."""
    shown = ", ".join(repr(name)[:60] for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
