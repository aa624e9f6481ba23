"""Regression with tiny networks."""

import warnings
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.base import RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from swajax.data.splits import fit_target
from swajax.estimators.base import BaseSparseMLP, check_rows
from swajax.estimators.teaching import teach
from swajax.model.front import Front
from swajax.search.config import SearchConfig
from swajax.types import Network


class SparseMLPRegressor(RegressorMixin, BaseSparseMLP):
    """Regression with a tiny neural network.

    `fit` searches networks of all sizes up to `max_weights`. A cross-validation in five
    folds estimates the error of each size; all rows are fitted. A small linear model
    predicts unless another network is better by two standard errors.

    Args:
      max_weights: number of weights and biases of the largest network.
      max_error: pick the smallest network with at most this validation loss instead.
      num_starts: number of random networks to start from, and of small ones besides.
      num_rounds: number of times that all networks are pruned and grown again [0 with
        fewer than 1,000 rows and no `valid_share`, else 3].
      max_perturbed: largest size of networks that are also tried with random changes.
      max_width: maximum number of neurons per hidden layer.
      max_depth: maximum number of hidden layers.
      activations: activations that a neuron can have.
      weight_decay: half of this times the squared weights is added to the loss
        [chosen by cross-validation; with `valid_share` 1e-9 for
        numbers and about 1 / rows for classes].
      sources: where starts come from, as in `swajax.search.config.SearchConfig`;
        adding "tangle" is better with many classes and inputs, and compiles for longer.
      valid_share: share of the rows that choose networks, and are not fitted, instead
        of a cross-validation [None; 0.2 with split `last`]; the smallest network within
        one standard error of the best then predicts.
      split: `last`, for rows in time order: the last rows validate.
      warm_start_from: a network of any size to start from, besides the sources: what
        `swajax.network.from_sklearn`, `from_onnx` or `from_layers` return, or a fitted
        estimator of this module, which scikit-learn's `clone` resets. It reads the
        inputs of `X`; numbers that it predicts may have other units.
      time_budget: seconds after which the search stops, compilation included.
      n_jobs: number of cores that share the networks: -1 for all, None for 1. Within a
        pool of joblib (`cross_val_score(n_jobs=2)`), 1. JAX then has one CPU device per
        core; once it has started, their number is fixed.
      random_state: seed of the split and of the search.

    Attributes:
      front_: one `FrontRow` per network, by size.
      network_: the network that predicts, a `Network` of NumPy arrays. It reads
        `(X - input_center_) / input_range_`.
      input_center_: center of the range of each input in training.
      input_range_: half the range of each input; infinite where it is constant.
      target_offset_: the prediction is `output * target_scale_ + target_offset_`.
      target_scale_: standard deviation in training; 0 if the target is constant.
      n_features_in_: number of inputs.
      feature_names_in_: names of the inputs, if all are strings.
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        teacher: Any = None,
    ) -> "SparseMLPRegressor":
        """Search networks that predict `y`, one number per row, from `X`.

        Args:
          X: inputs [N, I].
          y: numbers [N].
          sample_weight: weights [N] >= 0.
          groups: group of each row [N]; all rows of a group are held out together.
          teacher: a regressor; networks are fitted to the means of `y` and of what
            clones of it predict for rows that they were not fitted to.
        """
        x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weight, groups = check_rows(sample_weight, groups, x)
        rows, parts = self._divide(x, y.astype(np.float64), weight, groups)
        self._fit_target(rows.y[parts.train, 0], rows.weight[parts.train])
        if self.target_scale_ == 0:
            self._fit_inputs(rows.x)
            config = self._config()
            return self._keep(_make_constant(x.shape[1], config), config)
        y = rows.y
        if teacher is not None:
            y = teach(teacher, rows, parts, y, "predict")
        y = (y - self.target_offset_) / self.target_scale_
        return self._search(rows._replace(y=y), parts, "squared")

    def predict(self, X: Any) -> Float[np.ndarray, " N"]:
        """Return the predictions, one number per row."""
        return self._outputs(X)[:, 0] * self.target_scale_ + self.target_offset_

    def _fit_target(
        self, y: Float[np.ndarray, " N"], weight: Float[np.ndarray, " N"]
    ) -> None:
        self.target_scale_, self.target_offset_ = fit_target(y, weight)
        if not np.isfinite(self.target_scale_):
            raise ValueError(f"y is too large, up to {np.abs(y).max():g}")
        if self.target_scale_ == 0:
            warnings.warn(
                "y is constant in the training rows: a constant predicts it",
                ConvergenceWarning,
                stacklevel=3,
            )


def _make_constant(num_inputs: int, config: SearchConfig) -> Front:
    """Make a front of one network without weights, whose output is 0."""
    one, num_kinds = (1, 1, 1), len(config.activations)
    shapes = (1, num_inputs, 1), (1, 0, 1, 1), one, one, (1, 1), one, (*one, num_kinds)
    network = Network(*map(np.zeros, shapes), depth=np.ones(1, int))
    loss = np.zeros(1)
    return Front(network, np.zeros(1, int), loss, loss, loss, 0)
