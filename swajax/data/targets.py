"""The target of a table as numbers or as class codes."""

from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from swajax.data import columns
from swajax.data.messages import listed, shown

TaskKind = Literal["regression", "classification"]

MAX_CLASSES = 50
MAX_AUTO_CLASSES = 20


class Target(NamedTuple):
    """The target as in `tables.Table`, and notes for the user."""

    values: Float[np.ndarray, " N"] | Int[np.ndarray, " N"]
    task: TaskKind
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def read_target(column: pd.Series, task: Literal["auto"] | TaskKind) -> Target:
    """Convert a raw column without missing cells to numbers or class codes.

    Text and booleans are classes. Numbers are classes if all are whole and the number
    of distinct values is two, or at most 20 and at most 5 % of the number of rows.

    Args:
      column: raw cells, none of them missing.
      task: `auto` decides by the rule above, with a note.

    Raises:
      ValueError: the column holds neither numbers that vary nor 2 to 50 classes of at
        least two rows each.
    """
    if task not in ("auto", *get_args(TaskKind)):
        raise ValueError(
            f"task must be auto, {' or '.join(get_args(TaskKind))}, got {task}"
        )
    parsed = columns.parse(column)
    notes = ()
    if task == "auto":
        task, reason = _choose_task(column, parsed)
        notes = (f"{task}, as {shown(column.name)} {reason}",)
    if task == "classification":
        codes, classes = _encode_classes(column, parsed)
        return Target(codes, task, classes, notes)
    if parsed.dtype == object:
        raise ValueError(f"{columns.describe_text(column)}; it is the target")
    columns.check_size(parsed)
    values = parsed.to_numpy()
    if columns.is_constant(values):
        precision = " to the precision of float64" if np.ptp(values) else ""
        raise ValueError(
            f"target {shown(column.name)} is constant ({values[0]:g}){precision}; it "
            "must vary"
        )
    return Target(values, task, (), notes)


def _choose_task(column: pd.Series, parsed: pd.Series) -> tuple[TaskKind, str]:
    """Return the task and its reason, which names the option that overrides it."""
    if columns.is_boolean(column):
        return "classification", "is true or false (--task regression for 1 and 0)"
    if parsed.dtype == object:
        if not columns.is_mostly_numbers(column):
            return "classification", "is text"
        raise ValueError(
            f"{columns.describe_text(column)}, unlike most of the target "
            "(--task classification reads each text as a class)"
        )
    num_different = parsed.nunique()
    is_whole = bool((parsed == np.round(parsed)).all())
    few = min(MAX_AUTO_CLASSES, len(parsed) / 20)
    if is_whole and 2 <= num_different <= max(2, few):
        return (
            "classification",
            f"has only {num_different} distinct whole numbers (--task regression "
            "predicts them as numbers)",
        )
    return (
        "regression",
        "holds numbers (--task classification reads them as classes)",
    )


def _encode_classes(
    column: pd.Series, parsed: pd.Series
) -> tuple[Int[np.ndarray, " N"], tuple[str, ...]]:
    """Return class codes and class names.

    Codes are in the order of the numbers, or alphabetical if a class is not a number.
    The name of a number is its shortest text: 1 for 1.0 and 01.
    """
    name = shown(column.name)
    is_number = parsed.dtype != object and not columns.is_boolean(column)
    if is_number:
        columns.check_size(parsed)
    cells = parsed.to_numpy() if is_number else columns.to_text(column)
    different, codes, counts = np.unique(cells, return_inverse=True, return_counts=True)
    classes = tuple(columns.to_text(pd.Series(different)))
    if len(classes) == 1:
        raise ValueError(
            f"target {name} has only one class ({shown(classes[0])}); two are needed"
        )
    if len(classes) > MAX_CLASSES:
        hint = " (--task regression predicts numbers)" if is_number else ""
        raise ValueError(
            f"target {name} has {len(classes)} classes, at most {MAX_CLASSES} are "
            f"possible{hint}"
        )
    single = [label for label, count in zip(classes, counts, strict=True) if count < 2]
    if single:
        raise ValueError(
            f"target {name}: only one row of class {listed(single, 5)}; a class needs "
            "two, one of them to train on"
        )
    return codes.astype(np.int64), classes
