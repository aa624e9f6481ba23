"""What one run is worth: test errors at sizes, hypervolume, recovery of a teacher.

Errors are relative: the test loss as a share of the variance of the test part, or for
classes of the log loss of a constant. A run is the JSON value that `runs` writes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

SIZES = (10, 20, 40, 80)
MAX_SIZE = 80  # reference point of the hypervolume: this size and relative error 1
MIN_ERROR, MAX_ERROR = 1e-8, 1e6  # less is as good, more as bad as this
RECOVERED = 0.01  # relative error of a teacher that is found

Run = Mapping[str, Any]


class Steps(NamedTuple):
    """Relative error of the network chosen for at most so many weights."""

    num_weights: Float[np.ndarray, " K"]  # where the choice changes, ascending
    error: Float[np.ndarray, " K"]

    def at(self, size: int, constant: float) -> float:
        """Error of the best by validation of at most so many weights.

        If there is none, that of a constant.
        """
        index = np.searchsorted(self.num_weights, size, side="right") - 1
        return float(self.error[index]) if index >= 0 else constant


class Measured(NamedTuple):
    """Measures of one front."""

    errors: dict[int, float]  # at `SIZES`
    losses: dict[int, float]  # the same, not relative
    hypervolume: float
    smallest: float | None  # size within `RECOVERED`; infinite if there is none
    at_teacher: float | None  # error at the size of the teacher
    is_recovered: bool | None  # within `RECOVERED` at most at the teacher's size


def measure(run: Run, level: str = "full") -> Measured | None:
    """Measures of one front of a run; None if the run failed or has no such level."""
    if run["status"] != "ok" or level not in run["levels"]:
        return None
    steps = make_steps(run["levels"][level], run["scale"])
    constant = run["constant_loss"] / run["scale"]
    errors = {size: steps.at(size, constant) for size in SIZES}
    measured = Measured(
        errors=errors,
        losses={size: run["scale"] * error for size, error in errors.items()},
        hypervolume=hypervolume(steps),
        smallest=None,
        at_teacher=None,
        is_recovered=None,
    )
    if run["teacher"] is None:
        return measured
    fits = steps.num_weights[steps.error <= RECOVERED]
    smallest = float(fits[0]) if len(fits) else float("inf")
    size = run["teacher"]["num_weights"]
    return measured._replace(
        smallest=smallest,
        at_teacher=steps.at(size, constant),
        is_recovered=smallest <= size,
    )


def make_steps(level: Mapping[str, Any], scale: float) -> Steps:
    """The front of a level; its networks are better by validation the larger they are.

    What is not finite is null in JSON: an infinite error.
    """
    return _to_steps(level["num_weights"], level["test_loss"], scale)


def make_curve_steps(point: Mapping[str, Any], scale: float) -> Steps:
    """The same by validation, of a moment of a search."""
    return _to_steps(point["num_weights"], point["valid_loss"], scale)


def _to_steps(
    num_weights: Sequence[int], losses: Sequence[float | None], scale: float
) -> Steps:
    errors = np.array(losses, float) / scale  # None becomes NaN
    errors = np.where(np.isfinite(errors), errors, np.inf)
    return Steps(np.array(num_weights, float), errors)


def hypervolume(steps: Steps) -> float:
    """Decades of error below 1, on average over the sizes up to `MAX_SIZE`.

    The area between the staircase of log10(error) against size and the reference
    point, divided by `MAX_SIZE`. Errors above 1 count as 1.
    """
    bounds = np.append(np.minimum(steps.num_weights, MAX_SIZE), MAX_SIZE)
    decades = -np.log10(np.clip(steps.error, MIN_ERROR, 1.0))
    return float((np.diff(bounds) * decades).sum() / MAX_SIZE)
