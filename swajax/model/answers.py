"""Predictions of a teacher: numbers, or probabilities of classes, checked."""

from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from swajax.data import columns
from swajax.data.messages import listed, shown
from swajax.data.splits import Scaling, to_outputs
from swajax.data.targets import TaskKind
from swajax.model.fitted import to_probabilities


class Answers(NamedTuple):
    """What a teacher predicts for each row."""

    values: Float[np.ndarray, "N C"]
    """numbers [N, 1], or the probabilities of the classes"""
    classes: tuple[str, ...]
    """names of the classes; () for numbers"""

    def to_targets(self, scaling: Scaling) -> Float[np.ndarray, "N O"]:
        """Return the targets of a network, as `splits.to_outputs` does for labels."""
        if not self.classes:
            return to_outputs(self.values[:, 0], scaling, "the teacher's prediction")
        return self.values if len(self.classes) > 2 else self.values[:, 1:]


def read_answers(
    raw: Any,
    num_rows: int,
    *,
    task: Literal["auto"] | TaskKind = "auto",
    classes: tuple[str, ...] = (),
) -> Answers:
    """Read what a teacher returns for some rows.

    >>> read_answers(["b", "a", "b"], 3).classes
    ('a', 'b')

    Args:
      raw: numbers [N] or [N, 1]; labels [N]; or probabilities [N, C]. In a
        classification also the probability of the second of two classes [N], its
        log-odds [N], or logits [N, C].
      num_rows: number of rows N.
      task: `auto` reads floating-point numbers [N] as numbers, and all else as classes.
      classes: names of the classes, where they are known.

    Raises:
      ValueError: the shape is another one, a prediction is not finite, there is only
        one class, or the classes are not those that are known.
    """
    values = np.asarray(raw)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or len(values) != num_rows or 0 in values.shape:
        raise ValueError(
            f"the teacher must predict [N] or [N, C] for N = {num_rows} rows, got the "
            f"shape {np.shape(raw)}"
        )
    is_float = values.dtype.kind == "f"
    if task == "auto" and values.ndim == 1 and is_float:
        task = "regression"
    if task == "regression":
        return Answers(_read_numbers(values)[:, None], ())
    if values.ndim == 1 and not (is_float and _are_scores(values)):
        return _read_labels(values, classes)
    return _read_scores(_check_finite(values), task, classes)


def encode_labels(labels: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Return the code of each label.

    Raises:
      ValueError: a label is no class; names it.
    """
    names = columns.to_text(pd.Series(labels))
    codes = pd.Index(classes).get_indexer(names)
    if (codes < 0).any():
        other = names[int(np.argmin(codes))]
        raise ValueError(f"{shown(str(other))} is no class: {listed(classes)}")
    return codes


def find_classes(labels: np.ndarray) -> tuple[str, ...]:
    """Return the names of the classes, in the order of the labels."""
    return tuple(columns.to_text(pd.Series(np.unique(labels))))


def _are_scores(values: Float[np.ndarray, " N"]) -> bool:
    """Return whether numbers are probabilities or log-odds, not labels such as 2.0."""
    is_probability = ((values >= 0) & (values <= 1)).all()
    return bool(is_probability or (values != np.round(values)).any())


def _read_numbers(values: np.ndarray) -> Float[np.ndarray, " N"]:
    if values.ndim != 1 or values.dtype.kind not in "fiub":
        raise ValueError(
            "the teacher of a regression must predict one number per row, got "
            f"{values.dtype} of the shape {values.shape}"
        )
    return _check_finite(values)


def _check_finite(values: np.ndarray) -> Float[np.ndarray, "..."]:
    values = values.astype(np.float64)
    is_bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise ValueError(
            f"the teacher's prediction for row {row + 1} is not finite: {values[row]}"
        )
    return values


def _read_labels(labels: np.ndarray, classes: tuple[str, ...]) -> Answers:
    """Return probabilities of 0 and 1."""
    if pd.isna(labels).any():
        row = int(np.argmax(pd.isna(labels)))
        raise ValueError(f"the teacher's prediction for row {row + 1} is missing")
    classes = classes or find_classes(labels)
    if len(classes) < 2:
        raise ValueError(f"the teacher predicts only one class, {shown(classes[0])}")
    try:
        return Answers(np.eye(len(classes))[encode_labels(labels, classes)], classes)
    except ValueError as error:
        raise ValueError(f"the teacher's prediction {error}") from None


def _read_scores(
    values: Float[np.ndarray, "..."], task: str, classes: tuple[str, ...]
) -> Answers:
    """Return probabilities, from probabilities, log-odds or logits."""
    if values.ndim == 1:
        is_share = ((values >= 0) & (values <= 1)).all()
        both = np.stack([1 - values, values], axis=1)
        values = both if is_share else to_probabilities(values[:, None])
    totals, is_share = values.sum(axis=1), ((values >= 0) & (values <= 1)).all()
    if task == "auto" and not (is_share and np.allclose(totals, 1, atol=1e-3)):
        raise ValueError(
            f"the teacher's predictions of the shape {values.shape} are no "
            "probabilities, whose sum is 1 (task classification reads logits)"
        )
    if not (is_share and (totals > 0).all()):
        values = to_probabilities(values)
    classes = classes or tuple(map(str, range(values.shape[1])))
    if len(classes) != values.shape[1]:
        raise ValueError(
            f"the teacher predicts {values.shape[1]} classes, not {len(classes)}: "
            f"{listed(classes)}"
        )
    return Answers(values / values.sum(axis=1, keepdims=True), classes)
