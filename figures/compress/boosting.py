"""Gradient boosting as the teacher of tiny networks: their targets, by method."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.metrics import r2_score

from swajax.data.encoding import encode
from swajax.data.loaded_table import LoadedTable
from swajax.data.made_rows import make_rows
from swajax.data.problem import Problem, take_rows
from swajax.data.splits import Scaling
from swajax.search.imitation import NUM_MADE
from swajax.search.teachers import imitate

METHODS = ("labels", "in-sample", "out-of-fold", "mixed", "made-up", "file")


class Teacher(NamedTuple):
    """Boosting for the encoded rows of a table."""

    scaling: Scaling

    def fit(self, rows: Problem) -> Callable[[Float[np.ndarray, "N I"]], np.ndarray]:
        """Fit a model; return its predictions as targets of a network."""
        classes = self.scaling.classes
        kind = (
            HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
        )
        codes = rows.y.argmax(axis=1) if rows.y.shape[1] > 1 else rows.y[:, 0]
        model = kind(random_state=0).fit(rows.x, codes)
        if not classes:
            return lambda x: model.predict(x)[:, None]

        def predict(x: Float[np.ndarray, "N I"]) -> np.ndarray:
            found = np.zeros((len(x), len(classes)))
            found[:, model.classes_.astype(int)] = model.predict_proba(x)
            return found if len(classes) > 2 else found[:, 1:]

        return predict


def make_parts(
    loaded: LoadedTable, teacher: Teacher, method: str, seed: int
) -> tuple[Problem, Problem | None, Int[np.ndarray, " N"] | None]:
    """Return training and validation rows, and folds, with the targets of a method."""
    train, folds = loaded.dataset.train, loaded.folds
    if method == "labels":
        return train, None, folds
    if method == "in-sample":
        return train._replace(y=teacher.fit(train)(train.x)), None, folds
    if method == "file":
        predict_fn, encoder = teacher.fit(train), loaded.scaling.encoder
        found = imitate(
            loaded,
            lambda frame: _to_answers(predict_fn(encode(encoder, frame)), loaded),
            num_made=NUM_MADE,
            seed=seed,
        )
        return found.train, found.valid, None
    made, made_folds = _make_up(loaded, seed)
    y, made_y = np.zeros(train.y.shape), np.zeros((len(made), train.y.shape[1]))
    for fold in np.unique(folds):
        is_held = folds == fold
        predict_fn = teacher.fit(take_rows(train, ~is_held))
        y[is_held] = predict_fn(train.x[is_held])
        made_y[made_folds == fold] = predict_fn(made[made_folds == fold])
    if method == "mixed":
        return train._replace(y=(y + train.y) / 2), None, folds
    train = train._replace(y=y)
    if method == "out-of-fold":
        return train, None, folds
    weight = np.full(len(made), train.weight.sum() / len(made))
    both = zip(train, Problem(made, made_y, weight), strict=True)
    folds = np.concatenate([folds, made_folds])
    return Problem(*map(np.concatenate, both)), None, folds


def _make_up(
    loaded: LoadedTable, seed: int
) -> tuple[Float[np.ndarray, "M I"], Int[np.ndarray, " M"]]:
    """Return made-up rows between rows of the same fold, and their folds."""
    train, folds = loaded.dataset.train, loaded.folds
    frame, encoder = loaded.table.frame.iloc[loaded.rows[0]], loaded.scaling.encoder
    made, numbers = [], np.unique(folds)
    for fold in numbers:
        own, num = folds == fold, NUM_MADE // len(numbers)
        rows = make_rows(frame[own], train.x[own], num, seed=seed)
        made.append(encode(encoder, rows))
    return np.concatenate(made), np.repeat(numbers, [len(one) for one in made])


def _to_answers(y: np.ndarray, loaded: LoadedTable) -> np.ndarray:
    """Return targets of a network as the predictions of a model."""
    scaling = loaded.scaling
    return y * scaling.target_scale + scaling.target_offset


def score(
    predict_fn: Callable[[np.ndarray], np.ndarray], test: Problem, scaling: Scaling
) -> float:
    """Return R2 or accuracy of the teacher on the test rows."""
    found = predict_fn(test.x)
    if not scaling.classes:
        return float(r2_score(test.y, found))
    if found.shape[1] == 1:
        return float(np.mean((found > 0.5) == (test.y > 0.5)))
    return float(np.mean(found.argmax(axis=1) == test.y.argmax(axis=1)))
