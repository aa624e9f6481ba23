"""Tiny networks as scikit-learn estimators."""

from swajax.estimators.base import FrontRow
from swajax.estimators.classifier import SparseMLPClassifier
from swajax.estimators.regressor import SparseMLPRegressor

__all__ = ["FrontRow", "SparseMLPClassifier", "SparseMLPRegressor"]
