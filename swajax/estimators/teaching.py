"""Targets from a teacher: what another estimator predicts for rows it has not seen."""

from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from sklearn.base import clone
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.utils.validation import has_fit_parameter

from swajax.data.arrays import Parts
from swajax.data.folds import divide_into_folds
from swajax.data.problem import Problem
from swajax.model.answers import read_answers

TASKS = {"predict": "regression", "predict_proba": "classification"}


def teach(
    teacher: Any,
    rows: Problem,
    parts: Parts,
    targets: Float[np.ndarray, "N O"],
    method: Literal["predict", "predict_proba"],
) -> Float[np.ndarray, "N O"]:
    """Return targets whose training rows are the means of labels and predictions.

    Clones of the teacher predict rows that they were not fitted to: its predictions for
    its own rows are too close to the labels.

    Args:
      teacher: an estimator of scikit-learn, fitted or not.
      rows: all rows, y numbers or class codes [N, 1].
      parts: indices of the training rows, and their folds if there are any.
      targets: the labels as targets of a network, in the units of the predictions.
      method: name of the method that predicts.

    Raises:
      ValueError: the teacher lacks a method, or a prediction is not finite.
    """
    for name in ("fit", method):
        if not hasattr(teacher, name):
            raise ValueError(f"teacher must be an estimator with {name}, got {teacher}")
    x, y, weight = rows.x[parts.train], rows.y[parts.train, 0], rows.weight[parts.train]
    folds = parts.folds
    if folds is None:
        codes = y if method == "predict_proba" else np.zeros(len(y))
        folds, _ = divide_into_folds(codes, parts.seed)
    has_weight = has_fit_parameter(teacher, "sample_weight")
    raw = cross_val_predict(
        clone(teacher),
        x,
        y,
        cv=PredefinedSplit(folds),
        method=method,
        params={"sample_weight": weight / weight.mean()} if has_weight else None,
    )
    found = read_answers(raw, len(x), task=TASKS[method]).values
    if targets.shape[1] < found.shape[1]:  # one probability for two classes
        found = found[:, 1:]
    targets = targets.astype(np.float64)
    targets[parts.train] = (targets[parts.train] + found) / 2
    return targets
