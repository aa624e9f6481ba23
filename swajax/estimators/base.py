"""Parameters, scaling, search and front of the estimators."""

import copy
import dataclasses
import math
import numbers
import warnings
from typing import Any, NamedTuple, Self, no_type_check

import jax
import numpy as np
from jaxtyping import Float, Int
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from swajax.data.arrays import Parts, divide, encode_groups
from swajax.data.columns import fit_range
from swajax.data.encoding import Column, TableEncoder
from swajax.data.messages import listed
from swajax.data.partitions import SplitKind, check_split
from swajax.data.problem import Problem, take_rows
from swajax.data.splits import Scaling
from swajax.io import interrupts
from swajax.io.configs import check_range, convert_values
from swajax.io.devices import start_devices
from swajax.model.fitted import Model, evaluate
from swajax.model.front import Front
from swajax.network import LayeredNetwork
from swajax.objectives import Objective
from swajax.search.config import SearchConfig
from swajax.search.given_starts import to_layered
from swajax.search.run import find_front
from swajax.search.sources import SourceName
from swajax.types import DEFAULT_ACTIVATIONS, Activation, Network


class FrontRow(NamedTuple):
    """The best network of one size.

    `valid_loss` is the loss on the validation rows or, without a validation part, on
    rows held out in a cross-validation. Losses are mean squared errors in units of the
    variance of the training rows (regression) or cross-entropies in nats
    (classification).
    """

    num_weights: int
    train_loss: float
    valid_loss: float
    valid_loss_diff_se: float  # standard error of valid_loss - the smallest one
    is_picked: bool  # whether it predicts
    valid_low: float = math.nan  # 90 % interval of the loss on a quarter as many rows
    valid_high: float = math.nan
    is_dominated: bool = False  # whether a smaller one has no larger valid_loss


# scikit-learn wants constructors that take anything: `fit` checks the parameters.
@no_type_check
@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class BaseSparseMLP(BaseEstimator):
    """Parameters, scaling, search and front of both estimators."""

    max_weights: int = 64
    max_error: float | None = None
    num_starts: int = 768
    num_rounds: int | None = None
    max_perturbed: int = 20
    max_width: int = 8
    max_depth: int = 3
    activations: tuple[Activation, ...] = DEFAULT_ACTIVATIONS
    weight_decay: float | None = None
    sources: tuple[SourceName, ...] | None = ("random", "linear")
    valid_share: float | None = None
    split: SplitKind = "random"
    warm_start_from: Any = None
    time_budget: float | None = None
    n_jobs: int | None = -1
    random_state: int | np.random.RandomState | None = 0

    def at(self, max_weights: int) -> Self:
        """Return a fitted copy that predicts with a smaller network.

        Args:
          max_weights: the best network of at most this number of weights predicts.

        Raises:
          ValueError: all networks of the front are larger.
        """
        check_is_fitted(self)
        if not isinstance(max_weights, numbers.Real):
            raise ValueError(f"max_weights must be a number, got {max_weights!r}")
        fitting = [
            place
            for place, row in enumerate(self.front_)
            if row.num_weights <= max_weights and not row.is_dominated
        ]
        if not fitting:
            raise ValueError(
                f"max_weights must be >= {self.front_[0].num_weights}, the size of the "
                f"smallest network, got {max_weights}"
            )
        return copy.copy(self)._pick(fitting[-1])

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

    def _divide(
        self, x: Any, y: Any, weight: Any, groups: Any, *, is_classes: bool = False
    ) -> tuple[Problem, Parts]:
        """Merge equal rows and split them by the parameters."""
        if self.valid_share is not None:
            check_range("valid_share", self.valid_share, above=0, below=1)
        check_split(self.split, has_groups=groups is not None)
        return divide(
            x,
            y,
            weight,
            share=self.valid_share,
            random_state=self.random_state,
            is_classes=is_classes,
            kind=self.split,
            groups=groups,
        )

    def _search(self, rows: Problem, parts: Parts, objective: Objective) -> Self:
        """Search networks for rows whose inputs are not scaled yet."""
        config = self._config()
        self._fit_inputs(rows.x[parts.train])
        # Constant inputs are left out, so that no weight is spent on them.
        used = np.flatnonzero(np.isfinite(self.input_range_))
        self._warn_of_constants()
        used = used if len(used) else np.zeros(1, int)
        rows = rows._replace(x=self._scale(rows.x)[:, used])
        starts = self._starts(used)
        train = take_rows(rows, parts.train)
        valid = None if parts.valid is None else take_rows(rows, parts.valid)
        devices = _start_jobs(self.n_jobs)
        with interrupts.deferred() as signals:
            front = find_front(
                jax.random.key(parts.seed),
                train,
                valid,
                folds=parts.folds,
                objective=objective,
                config=config,
                starts=starts,
                time_budget=self.time_budget,
                devices=devices,
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
        front = front._replace(network=front.network._replace(first=first))
        return self._keep(front, config)

    def _starts(self, used: Int[np.ndarray, " _"]) -> LayeredNetwork | None:
        """Return the network to start from, in the units of the search."""
        given = self.warm_start_from
        if given is None:
            return None
        network = to_layered(given)
        if network.num_inputs != self.n_features_in_:
            raise ValueError(
                f"warm_start_from reads {network.num_inputs} inputs, X has "
                f"{self.n_features_in_}"
            )
        old = np.asarray(network.weights[0], np.float64)
        scale = np.where(np.isinf(self.input_range_), 0.0, self.input_range_)
        first = np.float32((scale[:, None] * old)[used])
        bias = np.float32(network.biases[0] + self.input_center_ @ old)
        return dataclasses.replace(
            network,
            weights=(first, *network.weights[1:]),
            biases=(bias, *network.biases[1:]),
        )

    def _warn_of_constants(self) -> None:
        constant = np.flatnonzero(np.isinf(self.input_range_))
        if len(constant):
            names = getattr(self, "feature_names_in_", None)
            names = [f"X[:, {i}]" if names is None else names[i] for i in constant]
            warnings.warn(
                f"features left out, constant in the training rows: {listed(names)}",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _config(self) -> SearchConfig:
        check_range("time_budget", self.time_budget, above=0, unit="s")
        known = SearchConfig.__dataclass_fields__
        params = self.get_params().items()
        own = {name: value for name, value in params if name in known}
        return SearchConfig(**convert_values(SearchConfig, own))

    def _keep(self, front: Front, config: SearchConfig) -> Self:
        """Store a front whose networks read all inputs."""
        interval = front.valid_interval
        if interval is None:
            interval = np.full((len(front.num_weights), 2), np.nan)
        columns = (front.num_weights, *front[2:5], *interval.T, ~front.is_best)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        self.front_ = [FrontRow(*row[:4], False, *row[4:]) for row in rows]
        self._networks, self._activations = front.network, config.activations
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


def _start_jobs(num: Any) -> tuple[jax.Device, ...]:
    """Return one device per job; on accelerators, all devices."""
    num = count_jobs(num)
    is_first = start_devices()
    devices = jax.local_devices()
    if devices[0].platform != "cpu":
        return tuple(devices)
    if not is_first and num > len(devices):
        warnings.warn(
            f"{len(devices)} of {num} cores: JAX was started before with one CPU "
            f"device; set JAX_NUM_CPU_DEVICES={num} for all, or n_jobs=1",
            stacklevel=4,
        )
    return tuple(devices[:num])


def count_jobs(num: Any) -> int:
    """Return the number of jobs for a value of `n_jobs`; 1 within a pool of joblib.

    Raises:
      ValueError: the value is 0 or no whole number.
    """
    if num == 0 or not isinstance(num, numbers.Integral | None):
        raise ValueError(f"n_jobs must be a whole number but 0, or None; got {num!r}")
    backend, _ = get_active_backend()
    return 1 if backend.nesting_level else effective_n_jobs(num)


def check_rows(
    sample_weight: Any, groups: Any, x: Float[np.ndarray, "N I"]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the weights, and a code per group if there are groups."""
    weight = _check_sample_weight(
        sample_weight, x, dtype=np.float64, ensure_non_negative=True
    )
    return weight, None if groups is None else encode_groups(groups, len(x))
