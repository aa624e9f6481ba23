"""Classification with tiny networks."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self, no_type_check

import numpy as np
from jaxtyping import Float
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from swajax.estimators.base import BaseSparseMLP, check_rows
from swajax.estimators.teaching import teach


@no_type_check
@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class SparseMLPClassifier(ClassifierMixin, BaseSparseMLP):
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

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        teacher: Any = None,
    ) -> Self:
        """Search networks that predict the classes `y`, one per row, from `X`.

        Args:
          X: inputs [N, I].
          y: classes [N].
          sample_weight: weights [N] >= 0; rows of weight 0 are ignored.
          groups: group of each row [N]; all rows of a group are held out together.
          teacher: a classifier with `predict_proba`; see `SparseMLPRegressor.fit`.
        """
        x, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        weight, groups = check_rows(sample_weight, groups, x)
        self.classes_, codes = np.unique(y[weight > 0], return_inverse=True)
        num_classes = len(self.classes_)
        if num_classes < 2:
            raise ValueError(f"y has only one class, {self.classes_[0]}")
        x, y, weight, groups = (
            None if leaf is None else leaf[weight > 0]
            for leaf in (x, y, weight, groups)
        )
        factors = compute_class_weight(
            self.class_weight, classes=self.classes_, y=y, sample_weight=weight
        )
        if not (np.isfinite(factors) & (factors > 0)).all():
            raise ValueError(f"class_weight must be above 0, got {self.class_weight}")
        weight = weight * factors[codes]
        rows, parts = self._divide(x, codes, weight, groups, is_classes=True)
        y, is_two = rows.y, num_classes == 2
        if not is_two:
            y = np.eye(num_classes)[y[:, 0].astype(int)]
        if teacher is not None:
            y = teach(teacher, rows, parts, y, "predict_proba")
        objective = "logistic" if is_two else "softmax"
        return self._search(rows._replace(y=y), parts, objective)

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
