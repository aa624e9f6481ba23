"""Tiny networks as scikit-learn estimators."""

import copy
import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self, no_type_check

import jax
import numpy as np
from jaxtyping import Float
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from swajax.data.arrays import Parts, merge, split
from swajax.data.columns import fit_range
from swajax.data.encoding import Column, TableEncoder
from swajax.data.problem import Problem, take_rows
from swajax.data.splits import Scaling, fit_target
from swajax.io import interrupts
from swajax.model.fitted import Model, evaluate
from swajax.model.front import Front
from swajax.objectives import Objective
from swajax.search.config import SearchConfig
from swajax.search.run import find_front
from swajax.search.sources import SourceName
from swajax.types import DEFAULT_ACTIVATIONS, Activation, Network


class FrontRow(NamedTuple):
    """One network of the front; a smaller one has a larger validation loss.

    Losses are mean squared errors in units of the variance of the training rows
    (regression) or cross-entropies in nats (classification).
    """

    num_weights: int
    train_loss: float
    valid_loss: float
    valid_loss_diff_se: float  # standard error of valid_loss - the last row's
    is_picked: bool  # whether it predicts


# scikit-learn wants constructors that take anything: `fit` checks the parameters.
@no_type_check
@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class _SparseMLP(BaseEstimator):
    """Parameters, scaling, search and front of both estimators."""

    max_weights: int = 64
    max_error: float | None = None
    num_starts: int = 768
    num_rounds: int = 3
    max_perturbed: int = 20
    max_width: int = 8
    max_depth: int = 3
    activations: tuple[Activation, ...] = DEFAULT_ACTIVATIONS
    weight_decay: float | None = None
    sources: tuple[SourceName, ...] | None = ("random",)
    valid_share: float = 0.2
    time_budget: float | None = None
    random_state: int | np.random.RandomState | None = 0

    def at(self, max_weights: int) -> Self:
        """Return a fitted copy that predicts with a smaller network.

        Args:
          max_weights: the best network of at most this number of weights predicts.

        Raises:
          ValueError: all networks of the front are larger.
        """
        check_is_fitted(self)
        num_fitting = sum(row.num_weights <= max_weights for row in self.front_)
        if not num_fitting:
            raise ValueError(
                f"max_weights must be >= {self.front_[0].num_weights}, the size of the "
                f"smallest network, got {max_weights}"
            )
        return copy.copy(self)._pick(num_fitting - 1)

    def to_model(self, target: str = "y") -> Model:
        """Return the network that predicts as a model for `swajax.export`.

        Its columns are named by `feature_names_in_`, or else x1, x2, ... A missing cell
        is filled with the center of its column.

        Args:
          target: name of the target.
        """
        check_is_fitted(self)
        numbers = [f"x{place}" for place in range(1, self.n_features_in_ + 1)]
        names = getattr(self, "feature_names_in_", numbers)
        centers = self.input_center_.tolist()
        # The network does not read constant inputs: any scale will do.
        scales = np.where(np.isinf(self.input_range_), 1.0, 1 / self.input_range_)
        columns = tuple(
            Column(str(name), "numeric", center, scale, -center * scale)
            for name, center, scale in zip(names, centers, scales.tolist(), strict=True)
        )
        classes = tuple(map(str, getattr(self, "classes_", ())))
        scale, offset = (
            getattr(self, name, default)
            for name, default in (("target_scale_", 1.0), ("target_offset_", 0.0))
        )
        scaling = Scaling(TableEncoder(columns), scale, offset, classes)
        return Model(self.network_, self._activations, scaling, target)

    def _search(self, rows: Problem, parts: Parts, objective: Objective) -> Self:
        """Search networks for rows whose inputs are not scaled yet."""
        self._fit_inputs(rows.x[parts.train])
        # Constant inputs are left out, so that no weight is spent on them.
        used = np.flatnonzero(np.isfinite(self.input_range_))
        used = used if len(used) else np.zeros(1, int)
        rows = rows._replace(x=self._scale(rows.x)[:, used])
        train, valid = (take_rows(rows, part) for part in parts[:2])
        with interrupts.deferred() as signals:
            front = find_front(
                jax.random.key(parts.seed),
                train,
                valid,
                objective=objective,
                config=self._config(),
                time_budget=self.time_budget,
            )
        if signals.num:
            warnings.warn(
                "the search was cut short by an interrupt: the networks are the best "
                "ones until then",
                ConvergenceWarning,
                stacklevel=3,
            )
        few = front.network.first
        first = np.zeros((len(few), self.n_features_in_, few.shape[2]))
        first[:, used] = few
        return self._keep(front._replace(network=front.network._replace(first=first)))

    def _config(self) -> SearchConfig:
        known = SearchConfig.__dataclass_fields__
        own = {
            name: value for name, value in self.get_params().items() if name in known
        }
        return SearchConfig(**own | {"activations": tuple(self.activations)})

    def _keep(self, front: Front) -> Self:
        """Store a front whose networks read all inputs."""
        columns = (front.num_weights, *front[2:5])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        self.front_ = [FrontRow(*row, is_picked=False) for row in rows]
        self._networks, self._activations = front.network, tuple(self.activations)
        return self._pick(front.pick)

    def _pick(self, index: int) -> Self:
        self.network_ = Network(*(leaf[index] for leaf in self._networks))
        self.front_ = [
            row._replace(is_picked=number == index)
            for number, row in enumerate(self.front_)
        ]
        return self

    def _fit_inputs(self, x: Float[np.ndarray, "N I"]) -> None:
        self.input_center_, half_range = fit_range(x)
        self.input_range_ = np.where(half_range == 0, np.inf, half_range)

    def _scale(self, x: Float[np.ndarray, "N I"]) -> Float[np.ndarray, "N I"]:
        return (x - self.input_center_) / self.input_range_

    def _outputs(self, X: Any) -> Float[np.ndarray, "N O"]:
        """Return the outputs of the picked network."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        return evaluate(self.network_, self._scale(x), activations=self._activations)


class SparseMLPRegressor(RegressorMixin, _SparseMLP):
    """Regression with a tiny neural network.

    `fit` searches networks of all sizes up to `max_weights` and keeps those that no
    smaller one beats on the validation rows; the smallest one within one standard error
    of the best predicts.

    Args:
      max_weights: number of weights and biases of the largest network.
      max_error: pick the smallest network with at most this validation loss instead.
      num_starts: number of random networks to start from, and as many small ones.
      num_rounds: number of times that all networks are pruned and grown again.
      max_perturbed: largest size of networks that are also tried with random changes.
      max_width: largest number of neurons per hidden layer.
      max_depth: largest number of hidden layers.
      activations: activations that a neuron can have.
      weight_decay: half of this times the squared weights is added to the loss
        [1e-9 for numbers, about 1 / rows for classes].
      sources: where starts come from, as in `swajax.search.config.SearchConfig`;
        ("random", "tangle") is better with many classes and inputs, and compiles for
        longer.
      valid_share: share of the rows for validation.
      time_budget: seconds after which the search stops.
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SparseMLPRegressor":
        """Search networks that predict `y`, one number per row, from `X`."""
        x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        rows = merge(x, y.astype(np.float64), _check_weight(sample_weight, x))
        parts = split(np.zeros(len(rows.y)), self.valid_share, self.random_state)
        self._fit_target(rows.y[parts.train, 0], rows.weight[parts.train])
        if self.target_scale_ == 0:
            self._fit_inputs(rows.x)
            return self._keep(_make_constant(x.shape[1], len(self.activations)))
        y = (rows.y - self.target_offset_) / self.target_scale_
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


@no_type_check
@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class SparseMLPClassifier(ClassifierMixin, _SparseMLP):
    """Classification with a tiny neural network.

    Parameters and attributes are those of `SparseMLPRegressor`, without `target_scale_`
    and `target_offset_`, and the following.

    Args:
      class_weight: factors of the row weights by class, or `balanced`.

    Attributes:
      classes_: the classes, at least two. The network outputs the log-odds of the
        second of two classes, or one logit per class.
    """

    class_weight: Literal["balanced"] | Mapping[Any, float] | None = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search networks that predict the classes `y`, one per row, from `X`."""
        x, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        weight = _check_weight(sample_weight, x)
        self.classes_, codes = np.unique(y[weight > 0], return_inverse=True)
        num_classes = len(self.classes_)
        if num_classes < 2:
            raise ValueError(f"y has only one class, {self.classes_[0]}")
        x, y, weight = (leaf[weight > 0] for leaf in (x, y, weight))
        factors = compute_class_weight(
            self.class_weight, classes=self.classes_, y=y, sample_weight=weight
        )
        if not (np.isfinite(factors) & (factors > 0)).all():
            raise ValueError(f"class_weight must be above 0, got {self.class_weight}")
        rows = merge(x, codes, weight * factors[codes])
        parts = split(rows.y[:, 0], self.valid_share, self.random_state)
        if num_classes == 2:
            return self._search(rows, parts, "logistic")
        y = np.eye(num_classes)[rows.y[:, 0].astype(int)]
        return self._search(rows._replace(y=y), parts, "softmax")

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row."""
        probability = self.predict_proba(X)
        return self.classes_[probability.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Float[np.ndarray, "N C"]:
        """Return the probabilities of the classes, in the order of `classes_`."""
        outputs = self._outputs(X)
        if len(self.classes_) > 2:
            return softmax(outputs, axis=1)
        return expit(outputs * [[-1.0, 1.0]])


def _check_weight(sample_weight: Any, x: Float[np.ndarray, "N I"]) -> np.ndarray:
    return _check_sample_weight(
        sample_weight, x, dtype=np.float64, ensure_non_negative=True
    )


def _make_constant(num_inputs: int, num_kinds: int) -> Front:
    """Make a front of one network without weights, whose output is 0."""
    one = (1, 1, 1)
    shapes = (1, num_inputs, 1), (1, 0, 1, 1), one, one, (1, 1), one, (*one, num_kinds)
    network = Network(*map(np.zeros, shapes), depth=np.ones(1, int))
    loss = np.zeros(1)
    return Front(network, np.zeros(1, int), loss, loss, loss, 0)
