"""Tiny networks as scikit-learn estimators.

Rows that are equal count as one with the sum of their weights, and rows are put in an
order of their own. So a row of weight 2 is that row twice, to the last bit, and none is
on both sides of the split into training and validation.
"""

import copy
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

import jax
import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from swajax import pipeline
from swajax.objectives import Objective
from swajax.pareto import Front
from swajax.pipeline import PipelineConfig
from swajax.polish import KINDS, Problem
from swajax.types import ACTIVATIONS, Activation, Network

MIN_ROWS = 10  # of fewer, all are trained on and chosen by
CONSTANT = 1e-9  # spread, relative to the largest value, below which nothing varies


class FrontRow(NamedTuple):
    """One network of the front; a smaller one has a larger validation loss.

    Losses are mean squared errors in units of the variance of the training rows
    (regression) or cross-entropies in nats (classification).
    """

    num_weights: int
    train_loss: float
    valid_loss: float
    valid_error: float  # standard error of `valid_loss`
    is_picked: bool  # whether it predicts


class _SparseMLP(BaseEstimator):
    """What both estimators share: parameters, scaling, search and front."""

    def __init__(
        self,
        max_weights: int = 64,
        max_error: float | None = None,
        num_starts: int = 512,
        num_rounds: int = 3,
        max_width: int = 8,
        max_depth: int = 3,
        activations: tuple[Activation, ...] = ACTIVATIONS,
        weight_decay: float | None = None,
        valid_share: float = 0.2,
        time_budget: float | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        """Keep the parameters as they are; `fit` checks them."""
        self.max_weights = max_weights
        self.max_error = max_error
        self.num_starts = num_starts
        self.num_rounds = num_rounds
        self.max_width = max_width
        self.max_depth = max_depth
        self.activations = activations
        self.weight_decay = weight_decay
        self.valid_share = valid_share
        self.time_budget = time_budget
        self.random_state = random_state

    def at(self, max_weights: int) -> Self:
        """A fitted copy that predicts by the best network of at most so many weights.

        Raises:
          ValueError: all networks of the front are larger.
        """
        check_is_fitted(self)
        fitting = [row.num_weights <= max_weights for row in self.front_]
        if not any(fitting):
            raise ValueError(
                f"max_weights must be >= {self.front_[0].num_weights}, the size of the "
                f"smallest network, got {max_weights}"
            )
        other = copy.copy(self)
        other._pick(sum(fitting) - 1)
        return other

    def _search(
        self,
        x: Float[np.ndarray, "N I"],
        y: Float[np.ndarray, "O N"],
        weight: Float[np.ndarray, " N"],
        *,
        parts: tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]],
        objective: Objective,
        rng: np.random.RandomState,
    ) -> Self:
        """Search networks and keep the front."""
        self._fit_inputs(x[parts[0]])
        # Inputs that are constant are left out, so that no weight is spent on them.
        used = np.flatnonzero(np.isfinite(self.input_range_))
        used = used if len(used) else np.zeros(1, int)
        inputs = self._scale(x)[:, used].T
        train, valid = (
            Problem(inputs[:, part], y[:, part], weight[part]) for part in parts
        )
        front = pipeline.run(
            jax.random.key(rng.randint(2**31 - 1)),
            train,
            valid,
            objective=objective,
            config=self._config(),
            time_budget=self.time_budget,
        )
        few = front.network.first
        first = np.zeros((len(few), x.shape[1], few.shape[2]))
        first[:, used] = few
        return self._keep(front._replace(network=front.network._replace(first=first)))

    def _config(self) -> PipelineConfig:
        return PipelineConfig(
            max_weights=self.max_weights,
            max_error=self.max_error,
            num_starts=self.num_starts,
            num_rounds=self.num_rounds,
            max_width=self.max_width,
            max_depth=self.max_depth,
            activations=tuple(self.activations),
            weight_decay=self.weight_decay,
        )

    def _keep(self, front: Front) -> Self:
        """Fitted from a front whose networks read all inputs."""
        columns = front.num_weights, front.train_loss, front.valid_loss
        values = np.stack([*columns, front.valid_error], axis=1).tolist()
        self.front_ = [FrontRow(int(size), *row, False) for size, *row in values]
        self._networks, self._activations = front.network, tuple(self.activations)
        self._pick(front.pick)
        return self

    def _pick(self, index: int) -> None:
        self.network_ = Network(*(leaf[index] for leaf in self._networks))
        self.front_ = [
            row._replace(is_picked=number == index)
            for number, row in enumerate(self.front_)
        ]

    def _fit_inputs(self, x: Float[np.ndarray, "N I"]) -> None:
        low, high = x.min(axis=0) / 2, x.max(axis=0) / 2
        self.input_center_, spread = low + high, high - low
        is_constant = spread <= CONSTANT * np.abs(x).max(axis=0)
        self.input_range_ = np.where(is_constant, np.inf, spread)

    def _scale(self, x: Float[np.ndarray, "N I"]) -> Float[np.ndarray, "N I"]:
        return (x - self.input_center_) / self.input_range_

    def _outputs(self, X: Any) -> Float[np.ndarray, "N O"]:
        """Outputs of the picked network."""
        check_is_fitted(self)
        x = validate_data(self, X, dtype=np.float64, reset=False)
        return evaluate(self.network_, self._scale(x), activations=self._activations)


class SparseMLPRegressor(RegressorMixin, _SparseMLP):
    """Regression by a network of as few weights as the error allows.

    `fit` searches networks of all sizes up to `max_weights` and keeps those that no
    smaller one beats on rows set aside; the smallest within one standard error of the
    best predicts.

    Args:
      max_weights: weights and biases of the largest network.
      max_error: pick the smallest network with at most this validation loss instead.
      num_starts: random networks to start from.
      num_rounds: times down and up the sizes.
      max_width: neurons a hidden layer at most.
      max_depth: hidden layers at most.
      activations: activations that a neuron can have.
      weight_decay: half of this times the squared weights is added to the loss; None
        for the default of the search.
      valid_share: share of the rows to choose networks by.
      time_budget: seconds after which no more work begins.
      random_state: of the split and the search.

    Attributes:
      front_: a `FrontRow` a network, by size.
      network_: the network that predicts, a `Network` of NumPy arrays. Its inputs are
        `(X - input_center_) / input_range_`.
      input_center_: middle of each input in training.
      input_range_: half of each input's range; infinite where it is constant.
      target_offset_: the prediction is `output * target_scale_ + target_offset_`.
      target_scale_: standard deviation in training; 0 if the target is constant.
      n_features_in_: number of inputs.
      feature_names_in_: names of the inputs, if `fit` was given any.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search networks that predict `y`, one number a row, from `X`."""
        x, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weight = _check_sample_weight(
            sample_weight, x, dtype=np.float64, ensure_non_negative=True
        )
        x, y, weight = _merge(x, y.astype(np.float64), weight)
        rng = check_random_state(self.random_state)
        parts = _split(np.zeros(len(y), int), self.valid_share, rng)
        self._fit_target(y[parts[0]], weight[parts[0]])
        if self.target_scale_ == 0:
            self._fit_inputs(x[parts[0]])
            return self._keep(_make_constant(x.shape[1], len(self.activations)))
        y = (y - self.target_offset_) / self.target_scale_
        return self._search(
            x, y[None], weight, parts=parts, objective="squared", rng=rng
        )

    def predict(self, X: Any) -> Float[np.ndarray, " N"]:
        """Predicted numbers, one a row."""
        return self._outputs(X)[:, 0] * self.target_scale_ + self.target_offset_

    def _fit_target(
        self, y: Float[np.ndarray, " N"], weight: Float[np.ndarray, " N"]
    ) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.average(y, weights=weight)
            deviation = np.sqrt(np.average(np.square(y - mean), weights=weight))
        if not np.isfinite(deviation):
            raise ValueError(f"y is too large, up to {np.abs(y).max():g}")
        is_constant = deviation <= CONSTANT * np.abs(y).max()
        self.target_scale_ = 0.0 if is_constant else float(deviation)
        self.target_offset_ = float(np.clip(mean, y.min(), y.max()))


class SparseMLPClassifier(ClassifierMixin, _SparseMLP):
    """Classification by a network of as few weights as the cross-entropy allows.

    See `SparseMLPRegressor`, which has all parameters and attributes but these.

    Args:
      class_weight: `balanced`, or the factor of each class, for the weights of rows.

    Attributes:
      classes_: the classes, of which there must be two at least. The network gives the
        log-odds of the second of two classes, or one logit a class.
    """

    def __init__(
        self,
        max_weights: int = 64,
        max_error: float | None = None,
        num_starts: int = 512,
        num_rounds: int = 3,
        max_width: int = 8,
        max_depth: int = 3,
        activations: tuple[Activation, ...] = ACTIVATIONS,
        weight_decay: float | None = None,
        valid_share: float = 0.2,
        time_budget: float | None = None,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        """Keep the parameters as they are; `fit` checks them."""
        super().__init__(
            max_weights=max_weights,
            max_error=max_error,
            num_starts=num_starts,
            num_rounds=num_rounds,
            max_width=max_width,
            max_depth=max_depth,
            activations=activations,
            weight_decay=weight_decay,
            valid_share=valid_share,
            time_budget=time_budget,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Search networks that tell the classes `y`, one a row, from `X`."""
        x, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        weight = _check_sample_weight(
            sample_weight, x, dtype=np.float64, ensure_non_negative=True
        )
        x, y, weight = (leaf[weight > 0] for leaf in (x, y, weight))
        self.classes_, codes = np.unique(y, return_inverse=True)
        num_classes = len(self.classes_)
        if num_classes < 2:
            raise ValueError(f"y has only one class, {self.classes_[0]}; give two")
        factors = compute_class_weight(
            self.class_weight, classes=self.classes_, y=y, sample_weight=weight
        )
        if not (np.isfinite(factors) & (factors > 0)).all():
            raise ValueError(f"class_weight must be above 0, got {self.class_weight}")
        x, codes, weight = _merge(x, codes, weight * factors[codes])
        codes = codes.astype(int)
        rng = check_random_state(self.random_state)
        return self._search(
            x,
            codes[None] * 1.0 if num_classes == 2 else np.eye(num_classes)[:, codes],
            weight,
            parts=_split(codes, self.valid_share, rng),
            objective="logistic" if num_classes == 2 else "softmax",
            rng=rng,
        )

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row."""
        probability = self.predict_proba(X)
        return self.classes_[probability.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Float[np.ndarray, "N C"]:
        """Probabilities of the classes, in the order of `classes_`."""
        outputs = self._outputs(X)
        if len(self.classes_) > 2:
            return softmax(outputs, axis=1)
        return expit(outputs * [[-1.0, 1.0]])


def evaluate(
    network: Network, x: Float[np.ndarray, "N I"], *, activations: tuple[str, ...]
) -> Float[np.ndarray, "N O"]:
    """Outputs of one network in NumPy, at once for any number of rows: no compiler."""
    table = np.array([KINDS[name] for name in activations])
    for layer in range(network.depth):
        weights = network.first if layer == 0 else network.hidden[layer - 1]
        pre = x @ weights + network.bias[layer]
        size, scale, offset, right, left = (network.activation[layer] @ table).T
        line = np.where(pre >= 0, right, left)
        x = (size * np.tanh(scale * pre) + offset + line * pre) * network.mask[layer]
    return x @ network.readout + network.readout_bias


def _merge(
    x: Float[np.ndarray, "N I"],
    y: Float[np.ndarray, " N"] | Int[np.ndarray, " N"],
    weight: Float[np.ndarray, " N"],
) -> tuple[Float[np.ndarray, "M I"], Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Distinct rows in ascending order, and the sums of their weights.

    Weights are relative to the largest; rows without any are gone.
    """
    table = np.column_stack([x, y])[weight > 0]
    table, index = np.unique(table, axis=0, return_inverse=True)
    weight = np.bincount(index.ravel(), weight[weight > 0])
    if not np.isfinite(weight.sum()):
        raise ValueError(f"sample_weight is too large, up to {weight.max():g}")
    return table[:, :-1], table[:, -1], weight / weight.sum()


def _split(
    codes: Int[np.ndarray, " N"], share: float, rng: np.random.RandomState
) -> tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]:
    """Rows to train on, some of every class, and rows to choose by, its share of each.

    Few rows are all of them both.
    """
    if not 0 < share < 1:
        raise ValueError(f"valid_share must be between 0 and 1, got {share}")
    num = len(codes)
    rows = rng.permutation(num)
    if num < MIN_ROWS:
        return rows, rows
    rows = rows[np.argsort(codes[rows], kind="stable")]
    is_first = np.diff(codes[rows], prepend=-1) > 0
    # Every fifth, say, in the order of the classes.
    is_valid = np.diff(np.floor(share * np.arange(num + 1) + 0.5)) > 0
    is_valid &= ~is_first
    if not is_valid.any():
        return rows, rows
    return rows[~is_valid], rows[is_valid]


def _make_constant(num_inputs: int, num_kinds: int) -> Front:
    """A front of one network, which gives 0 without a weight."""
    network = Network(
        first=np.zeros((1, num_inputs, 1)),
        hidden=np.zeros((1, 0, 1, 1)),
        readout=np.zeros((1, 1, 1)),
        bias=np.zeros((1, 1, 1)),
        readout_bias=np.zeros((1, 1)),
        mask=np.zeros((1, 1, 1)),
        activation=np.zeros((1, 1, 1, num_kinds)),
        depth=np.ones(1, np.int32),
    )
    no_loss = np.zeros(1)
    return Front(network, np.zeros(1, int), no_loss, no_loss, no_loss, 0)
