"""Rows of a table with the predictions of a teacher, a model in an ONNX file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from swajax.data.encoding import TableEncoder, encode, fit_encoder
from swajax.data.features import read_features
from swajax.data.large import is_large
from swajax.data.loaded_table import LoadedTable
from swajax.data.made_rows import make_rows
from swajax.data.messages import listed, shown
from swajax.data.number_formats import convert_columns
from swajax.data.problem import Problem
from swajax.data.readers import read_source
from swajax.data.splits import Dataset, Scaling
from swajax.data.tables import Table, choose_features, make_table
from swajax.model.answers import read_answers
from swajax.search.imitation import TARGET, add_made_rows
from swajax.search.onnx_teacher import OnnxTeacher


class Imitation(NamedTuple):
    """Rows of a table with the predictions of a teacher as targets."""

    train: Problem
    """training rows, with made-up ones"""
    valid: Problem
    """validation rows, with made-up ones"""
    dataset: Dataset
    """all parts, without made-up rows"""


def ask_teacher(
    path: Path, loaded: LoadedTable, *, num_made: int, seed: int
) -> Imitation:
    """Let the model of a file predict the rows of a table, and made-up rows.

    Args:
      path: an ONNX file.
      loaded: a table with a validation part.
      num_made: number of made-up rows.
      seed: seed of the made-up rows.

    Raises:
      ValueError: the model does not fit the table; the message names the file.
    """
    table = loaded.table
    try:
        teacher, classes = OnnxTeacher(path, table.frame), table.classes
        if teacher.classes and teacher.classes != classes:
            raise ValueError(
                f"predicts the classes {listed(teacher.classes)}, the target "
                f"{shown(table.target_name)} has "
                f"{listed(classes) if classes else 'numbers'}"
            )
        return imitate(loaded, teacher, num_made=num_made, seed=seed)
    except ValueError as error:
        raise ValueError(_describe_fault(path, error, table.notes)) from error


def imitate(
    loaded: LoadedTable,
    predict_fn: Callable[[pd.DataFrame], np.ndarray],
    *,
    num_made: int,
    seed: int,
) -> Imitation:
    """Let a function predict the rows of a table, and made-up rows between them.

    Args:
      loaded: a table with a validation part.
      predict_fn: predicts rows of the features, whose missing numbers are filled.
      num_made: number of made-up rows.
      seed: seed of the made-up rows.

    Raises:
      ValueError: the predictions do not fit the table.
    """
    table, scaling = loaded.table, loaded.scaling
    frame = _fill(scaling.encoder, table.frame)

    def ask(rows: pd.DataFrame) -> Float[np.ndarray, "N O"]:
        options = {"task": table.task, "classes": table.classes}
        answers = read_answers(predict_fn(rows), len(rows), **options)
        return np.float32(answers.to_targets(scaling))

    frames = [frame.iloc[rows] for rows in loaded.rows]
    parts = [
        part._replace(y=ask(rows))
        for part, rows in zip(loaded.dataset, frames, strict=False)
    ]
    dataset = Dataset(*parts, *[None] * (len(Dataset._fields) - len(parts)))
    if not num_made:
        return Imitation(*parts[:2], dataset)
    made = make_rows(frames[0], parts[0].x, num_made, seed=seed)
    made = Problem(encode(scaling.encoder, made), ask(made), np.ones(num_made))
    return Imitation(*add_made_rows(parts[:2], made), dataset)


def describe(path: Path, num_made: int, scaling: Scaling) -> str:
    """Return a note for the user."""
    kind = "the share of rows with the same class as" if scaling.classes else "R2 of"
    return (
        f"networks imitate {path}, on the rows and on {num_made:,} made-up rows; "
        f"fidelity is {kind} its predictions"
    )


def predict_target(
    data: str,
    path: Path,
    *,
    features: Sequence[str] | None,
    weight: str | None,
    group: str | None,
) -> Table:
    """Load a table whose target is the prediction of a teacher.

    Args:
      data: name of the table, as in `swajax.data.tables.load_table`.
      path: an ONNX file.
      features: columns to predict from; by default all others.
      weight: column of the row weights.
      group: column of the groups.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: the table cannot be used, or the teacher does not fit it.
    """
    if is_large(data):
        raise ValueError(f"{data}: a large file needs a --target")
    source = read_source(data)
    if TARGET in source.frame:
        raise ValueError(f"{data}: has a column {shown(TARGET)}; choose a --target")
    frame = source.frame.assign(**{TARGET: 0.0})
    source = source._replace(frame=frame, target=TARGET)
    roles = {"target": TARGET, "weight": weight, "group": group}
    names = choose_features(source, roles, features)
    cells, _ = convert_columns(frame, names, decimal=source.decimal)
    inputs, more = read_features(cells, names, is_chosen=features is not None)
    inputs = _fill(fit_encoder(inputs)[0], inputs)
    try:
        answers = read_answers(OnnxTeacher(path, inputs)(inputs), len(inputs))
    except ValueError as error:
        raise ValueError(_describe_fault(path, error, more)) from error
    column = answers.values[:, 0]
    if answers.classes:
        column = np.array(answers.classes)[answers.values.argmax(axis=1)]
    source = source._replace(frame=frame.assign(**{TARGET: column}))
    task = "classification" if answers.classes else "regression"
    return make_table(source, data, TARGET, features, task, weight, group)


def _fill(encoder: TableEncoder, frame: pd.DataFrame) -> pd.DataFrame:
    """Fill missing numbers as the networks do."""
    columns = encoder.columns
    return frame.fillna({one.name: one.fill for one in columns if not one.categories})


def _describe_fault(path: Path, error: ValueError, notes: tuple[str, ...]) -> str:
    """Return a message that also names the columns that are no features."""
    left_out = [note for note in notes if note.startswith("features left out")]
    return "; ".join([f"{path}: {error}", *left_out])
