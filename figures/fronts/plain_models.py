"""Errors of scikit-learn's linear model and dense network on the rows of a table."""

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor

from swajax.data.problem import Problem
from swajax.data.splits import Dataset, Scaling


def compare(dataset: Dataset, scaling: Scaling) -> list[dict[str, Any]]:
    """Fit a linear model and a dense network, and measure them on the test part.

    The validation part chooses the weight decay of the dense network. Both models are
    then fitted to training and validation rows together.

    Args:
      dataset: training, validation and test rows.
      scaling: units of the target, and classes.

    Returns:
      Name, number of parameters and two measures per model.
    """
    if scaling.classes:
        linear = LogisticRegression(max_iter=5000)
        dense = MLPClassifier(hidden_layer_sizes=(32, 32), max_iter=5000)
    else:
        linear = RidgeCV(np.logspace(-4, 4, 17))
        dense = MLPRegressor(hidden_layer_sizes=(32, 32), max_iter=5000)
    dense.set_params(random_state=0)
    parts = [_to_arrays(part, scaling) for part in dataset]
    both = [np.concatenate(arrays) for arrays in zip(*parts[:2], strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = {
            alpha: dense.set_params(alpha=alpha).fit(*parts[0]).score(*parts[1])
            for alpha in (1e-4, 1e-2, 1.0, 10.0)
        }
        dense.set_params(alpha=max(scores, key=scores.get))
        models = {"linear": linear.fit(*both), "dense network": dense.fit(*both)}
    return [
        {"model": name} | _measure(model, *parts[2], scaling)
        for name, model in models.items()
    ]


def _to_arrays(part: Problem, scaling: Scaling) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets for scikit-learn; classes are integer codes."""
    is_one_hot = scaling.classes and part.y.shape[1] > 1
    y = part.y.argmax(axis=1) if is_one_hot else part.y[:, 0]
    return part.x.astype(np.float64), y.astype(np.float64)


def _measure(
    model: Any, x: np.ndarray, y: np.ndarray, scaling: Scaling
) -> dict[str, Any]:
    """Return the number of parameters and the test measures of a model."""
    weights = getattr(model, "coefs_", None)
    if weights is None:
        num = np.size(model.coef_) + np.size(model.intercept_)
    else:
        num = sum(np.size(w) for w in (*weights, *model.intercepts_))
    if scaling.classes:
        return {
            "num_weights": int(num),
            "log_loss": log_loss(y, model.predict_proba(x), labels=model.classes_),
            "accuracy": float(np.mean(model.predict(x) == y)),
        }
    mse = np.mean(np.square(model.predict(x) - y))
    return {
        "num_weights": int(num),
        "rmse": float(mse**0.5 * scaling.target_scale),
        "r2": float(1 - mse / y.var()),
    }
