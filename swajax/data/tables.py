"""Tables to learn from: files or built-in tables, checked cell by cell."""

import itertools
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from swajax.data import columns, number_formats
from swajax.data.features import read_features, values_key
from swajax.data.messages import did_you_mean, listed, shown
from swajax.data.readers import Source, read_source
from swajax.data.targets import TaskKind, read_target

MIN_ROWS = 10
MAX_WEIGHT = 1e6  # largest weight of a row, relative to the median
_INDEX_NAME = re.compile(r"Unnamed: 0(\.\d+)*")  # name of a saved index in pandas


class Table(NamedTuple):
    """Features and target, in the units of the file."""

    frame: pd.DataFrame
    """features: float64 with NaN for missing cells, or objects: text and None"""
    target: Float[np.ndarray, " N"] | Int[np.ndarray, " N"]
    """numbers, or class codes"""
    task: TaskKind
    classes: tuple[str, ...]
    """names in the order of the codes; () for regression"""
    weight: Float[np.ndarray, " N"] | None
    """weights of the rows, above 0"""
    target_name: str
    source: str
    """argument `data` of `load_table`"""
    notes: tuple[str, ...]
    """notes for the user, one line each"""
    group: Int[np.ndarray, " N"] | None = None
    """code of the group of each row; splits keep groups together"""
    group_name: str | None = None


def load_table(
    data: str,
    *,
    target: str | None = None,
    features: Sequence[str] | None = None,
    task: Literal["auto", "regression", "classification"] = "auto",
    weight: str | None = None,
    group: str | None = None,
) -> Table:
    """Load a table from a file, or a built-in table.

    CSV and TSV files are UTF-8 or UTF-16 text with the column names in the first line
    and commas, semicolons or tabs between the cells; they may be compressed with gzip.
    In files with semicolons or tabs, commas may be decimal marks. Parquet files are
    read by pandas. NPZ files hold either `x` [N, I], `y` [N] and optionally
    `feature_names` [I] (further arrays [N] can be chosen by name), or one array [N] per
    column. Empty cells, NA, N/A, NaN, null, None and ?, in any case, are missing. 10%
    is read as 10.

    A feature is numeric, with true and false as 1 and 0, or text with at most 20
    distinct values that are fewer than half the rows. Useless features are left out,
    with a note: constants, copies of others, columns without values, saved row numbers
    and columns without a name.

    >>> table = load_table("iris")
    >>> table.target_name, table.classes
    ('species', ('setosa', 'versicolor', 'virginica'))

    Args:
      data: path of the file, or name of a built-in table: one of `built_in.DATASETS`,
        from scikit-learn, or of `functions.FUNCTIONS`. `./diabetes` is a file.
      target: column to predict; built-in tables have a default. Rows without a target
        are left out.
      features: columns to predict from; by default all others.
      task: whether to predict numbers or classes; `auto` reads text, booleans and few
        distinct whole numbers as classes, by the rule of `targets.read_target`.
      weight: column of the row weights, >= 0; rows of weight 0 are left out.
      group: column of the group of each row, numbers or text, for a split that keeps
        groups together. It is not a feature.

    Raises:
      FileNotFoundError: there is no such file and no such built-in table.
      ValueError: the table cannot be used; the message names file, column and line.
    """
    try:
        return _load_table(data, target, features, task, weight, group)
    except ValueError as error:
        raise ValueError(f"{data}: {error}") from error


def _load_table(
    data: str,
    target: str | None,
    features: Sequence[str] | None,
    task: Literal["auto"] | TaskKind,
    weight: str | None,
    group: str | None,
) -> Table:
    source = read_source(data)
    return make_table(source, data, target, features, task, weight, group)


def make_table(
    source: Source,
    data: str,
    target: str | None,
    features: Sequence[str] | None,
    task: Literal["auto"] | TaskKind,
    weight: str | None,
    group: str | None,
) -> Table:
    """Check raw columns; the arguments and errors are those of `load_table`."""
    target = target or source.target
    roles = {"target": target, "weight": weight, "group": group}
    names = choose_features(source, roles, features)
    notes = source.notes
    if features is None:
        names, more = _drop_row_numbers(source.frame, names)
        notes += more
    used = [target, *names] if weight is None else [target, weight, *names]
    frame, more = number_formats.convert_columns(
        source.frame, used, decimal=source.decimal
    )
    notes += more
    frame, more = _drop_rows(
        frame,
        columns.is_missing(frame[target]),
        f"the target {shown(target)} is missing",
    )
    notes += more
    weights = None
    if weight is not None:
        weights = read_weights(frame[weight])
        frame, more = _drop_rows(frame, weights == 0, "their weight is 0")
        weights, notes = weights[weights > 0], notes + more
    if len(frame) < MIN_ROWS:
        raise ValueError(f"{len(frame)} data rows, at least {MIN_ROWS} are needed")
    goal = read_target(frame[target], task)
    inputs, more = read_features(frame, names, is_chosen=features is not None)
    notes += goal.notes + more + _note_copies_of_target(inputs, frame[target])
    notes += _note_row_numbers(inputs)
    return Table(
        frame=inputs.reset_index(drop=True),
        target=goal.values,
        task=goal.task,
        classes=goal.classes,
        weight=weights,
        target_name=target,
        source=data,
        notes=notes,
        group=None if group is None else read_groups(frame[group]),
        group_name=group,
    )


def choose_features(
    source: Source, roles: dict[str, str | None], features: Sequence[str] | None
) -> list[str]:
    """Return the names of the features; check the names of all roles too."""
    names = list(source.frame.columns)
    if roles["target"] is None:
        raise ValueError(f"choose a --target among {listed(names)}")
    roles = {role: name for role, name in roles.items() if name is not None}
    for name in (*roles.values(), *(features or ())):
        if name not in source.frame:
            raise ValueError(
                f"no column {shown(name)}{did_you_mean(name, names)}; the table has "
                f"{listed(names)}"
            )
    for (role, name), (other, its_name) in itertools.combinations(roles.items(), 2):
        if name == its_name:
            raise ValueError(f"the {role} {shown(name)} is also the {other}")
    if features is None:
        features = source.features or names
        return [name for name in features if name not in roles.values()]
    for role, name in roles.items():
        if name in features:
            raise ValueError(f"the {role} {shown(name)} is among the features")
    if len(set(features)) < len(features):
        raise ValueError(f"a feature is named twice: {listed(features)}")
    return list(features)


def _drop_row_numbers(
    frame: pd.DataFrame, names: list[str]
) -> tuple[list[str], tuple[str, ...]]:
    """Leave out columns with the name of a saved index and different whole numbers."""
    dropped = []
    for name in filter(_INDEX_NAME.fullmatch, names):
        numbers = columns.to_numbers(frame[name])
        if (numbers == np.round(numbers)).all() and len(set(numbers)) == len(frame):
            dropped.append(name)
    if not dropped:
        return names, ()
    kept = [name for name in names if name not in dropped]
    return kept, (f"features left out, saved row numbers: {listed(dropped)}",)


def _drop_rows(
    frame: pd.DataFrame, is_dropped: Bool[np.ndarray, " N"], reason: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    num_dropped = int(is_dropped.sum())
    if num_dropped == 0:
        return frame, ()
    if num_dropped == len(frame):
        raise ValueError(f"no row is left: in all {len(frame)} {reason}")
    note = f"rows left out, as {reason}: {num_dropped} of {len(frame)}"
    return frame[~is_dropped], (note,)


def read_weights(column: pd.Series) -> Float[np.ndarray, " N"]:
    """Return the row weights: >= 0, not all 0, none above 1e6 times the median.

    Raises:
      ValueError: a weight is missing, negative or too large; the message names it.
    """
    parsed = columns.parse(column)
    if parsed.dtype == object:
        raise ValueError(f"{columns.describe_text(column)}; it is a weight")
    columns.check_size(parsed)
    weights = parsed.to_numpy()
    positive = weights[weights > 0]
    largest = MAX_WEIGHT * np.median(positive) if positive.size else 0.0
    for is_bad, fault in (
        (np.isnan(weights), "the weight is missing"),
        (weights < 0, "the weight is negative"),
        (weights > largest, f"the weight exceeds {MAX_WEIGHT:g} times the median"),
    ):
        if is_bad.any():
            raise ValueError(
                f"{columns.locate(column, int(np.argmax(is_bad)))}: {fault}"
            )
    if not positive.size:
        raise ValueError(f"all weights in column {shown(column.name)} are 0")
    return weights


def read_groups(column: pd.Series) -> Int[np.ndarray, " N"]:
    """Return a code per group.

    Raises:
      ValueError: a row has no group; the message names it.
    """
    text = columns.to_text(column)
    is_missing = np.array([cell is None for cell in text])
    if is_missing.any():
        row = int(np.argmax(is_missing))
        raise ValueError(f"{columns.locate(column, row)}: the group is missing")
    return pd.factorize(text, sort=True)[0]


def _note_row_numbers(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a note if features count the rows as the index does, by steps of 1."""
    rows = frame.index - frame.index[0]
    counting = [
        name
        for name in frame.select_dtypes("number")
        if (frame[name] - frame[name].iloc[0] == rows).all()
    ]
    if not counting:
        return ()
    return (f"features that number the rows: {listed(counting)} (see --features)",)


def _note_copies_of_target(frame: pd.DataFrame, target: pd.Series) -> tuple[str, ...]:
    key = values_key(columns.parse(target))
    copies = [name for name in frame if values_key(frame[name]) == key]
    return (f"the same values as the target: {listed(copies)}",) if copies else ()
