"""Ordinary models of scikit-learn, with settings by cross-validation, and pyoperon."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import RFE
from sklearn.linear_model import (
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    RidgeCV,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

DENSE = {"hidden_layer_sizes": (64, 64), "max_iter": 500, "random_state": 0}
DECAYS = (1e-3, 1e-1, 1.0, 10.0)
NUM_KEPT = 8  # inputs of the sparse linear model


def _dense(kind: Callable[..., Any]) -> Any:
    name = kind.__name__.lower()
    steps = make_pipeline(StandardScaler(), kind(**DENSE))
    return GridSearchCV(steps, {f"{name}__alpha": DECAYS}, cv=3)


def _operon() -> Any:
    """Return symbolic regression with a step of Levenberg-Marquardt per expression."""
    kind = importlib.import_module("pyoperon.sklearn").SymbolicRegressor
    search = kind(
        allowed_symbols="add,sub,mul,aq,sin,exp,tanh,constant,variable",
        max_length=40,
        optimizer_iterations=1,
        max_evaluations=1_000_000,  # about 20 s on 400 rows
        max_time=60,
        n_threads=1,
        random_state=0,
    )
    return make_pipeline(StandardScaler(), search)


REGRESSORS = {
    "linear": lambda: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-4, 5, 37))),
    "lasso": lambda: make_pipeline(StandardScaler(), LassoCV(max_iter=20_000)),
    "sparse": lambda: make_pipeline(
        StandardScaler(),
        RFE(LinearRegression(), n_features_to_select=NUM_KEPT),
        RidgeCV(np.logspace(-4, 5, 37)),
    ),
    "dense": lambda: _dense(MLPRegressor),
    "boosting": lambda: HistGradientBoostingRegressor(random_state=0),
    "operon": _operon,
}
CLASSIFIERS = {
    "linear": lambda: make_pipeline(
        StandardScaler(), LogisticRegressionCV(Cs=10, max_iter=5000)
    ),
    "sparse": lambda: make_pipeline(
        StandardScaler(),
        RFE(LogisticRegression(max_iter=5000), n_features_to_select=NUM_KEPT),
        LogisticRegressionCV(Cs=10, max_iter=5000),
    ),
    "dense": lambda: _dense(MLPClassifier),
    "boosting": lambda: HistGradientBoostingClassifier(random_state=0),
}


def score(
    name: str,
    train: tuple[Float[np.ndarray, "N I"], np.ndarray],
    test: tuple[Float[np.ndarray, "M I"], np.ndarray],
    *,
    is_classes: bool,
) -> dict[str, Any] | None:
    """Return test R2 or accuracy, and the number of coefficients if it is known.

    None where the model does not apply, or its package is not installed.

    Args:
      name: name of the model.
      train: inputs, and numbers or class codes.
      test: the same of the test rows.
      is_classes: whether the target is a class.
    """
    makers = CLASSIFIERS if is_classes else REGRESSORS
    if name not in makers:
        return None
    try:
        model = makers[name]()
    except ImportError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "Found n_features_to_select")
        model.fit(*train)
    return {"score": float(model.score(*test)), "num_weights": _count(model)}


def _count(model: Any) -> int | None:
    model = getattr(model, "best_estimator_", model)
    last = model[-1] if hasattr(model, "steps") else model
    if hasattr(last, "coefs_"):
        return int(sum(map(np.size, (*last.coefs_, *last.intercepts_))))
    if hasattr(last, "stats_"):  # operon counts symbols
        return int(last.stats_["model_length"])
    if hasattr(last, "coef_"):
        return int(np.count_nonzero(last.coef_) + np.size(last.intercept_))
    return None
