"""Scores of one run: test errors at several sizes, hypervolume, teacher recovery.

Errors are relative: the test loss as a share of the variance of the test outputs, or,
for classes, of the log loss of a constant. A run is a line of `runs.jsonl`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

SIZES = (10, 20, 40, 80)
MAX_SIZE = 80  # reference point of the hypervolume: this size and relative error 1
MIN_ERROR, MAX_ERROR = 1e-8, 1e6  # errors are clipped to this range
RECOVERED = 0.01  # relative error at or below which a teacher is recovered

Run = Mapping[str, Any]


class Steps(NamedTuple):
    """Relative error of the chosen network as a function of the size limit."""

    num_weights: Float[np.ndarray, " K"]  # where the choice changes, ascending
    error: Float[np.ndarray, " K"]

    def at(self, size: int, constant: float) -> float:
        """Return the error of the network chosen for at most `size` weights.

        Args:
          size: number of weights at most.
          constant: relative error of a constant, returned if no network is that small.
        """
        index = np.searchsorted(self.num_weights, size, side="right") - 1
        return float(self.error[index]) if index >= 0 else constant


class Scores(NamedTuple):
    """Scores of one front."""

    errors: dict[int, float]  # at `SIZES`
    losses: dict[int, float]  # the same, not relative
    hypervolume: float
    smallest: float | None  # least size with error `RECOVERED`, else infinite
    at_teacher: float | None  # error at the size of the teacher
    is_recovered: bool | None  # within `RECOVERED` at most at the teacher's size


def score_run(run: Run, level: str = "full") -> Scores | None:
    """Return the scores of one front of a run.

    Args:
      run: line of `runs.jsonl`.
      level: stage of the search: raw, polished or full.

    Returns:
      None if the run failed or has no such level.
    """
    if run["status"] != "ok" or level not in run["levels"]:
        return None
    steps = make_steps(run["levels"][level], run["scale"])
    constant = run["constant_loss"] / run["scale"]
    errors = {size: steps.at(size, constant) for size in SIZES}
    scored = Scores(
        errors=errors,
        losses={size: run["scale"] * error for size, error in errors.items()},
        hypervolume=hypervolume(steps),
        smallest=None,
        at_teacher=None,
        is_recovered=None,
    )
    if run["teacher"] is None:
        return scored
    fits = steps.num_weights[steps.error <= RECOVERED]
    smallest = float(fits[0]) if len(fits) else float("inf")
    size = run["teacher"]["num_weights"]
    return scored._replace(
        smallest=smallest,
        at_teacher=steps.at(size, constant),
        is_recovered=smallest <= size,
    )


def make_steps(level: Mapping[str, Any], scale: float) -> Steps:
    """Return the front of a level; null, a loss that is not finite, becomes infinity.

    Args:
      level: front whose validation losses fall with the size.
      scale: loss that relative errors are shares of.
    """
    return _to_steps(level["num_weights"], level["test_loss"], scale)


def make_curve_steps(point: Mapping[str, Any], scale: float) -> Steps:
    """Return the front of a point of a curve, by validation losses."""
    return _to_steps(point["num_weights"], point["valid_loss"], scale)


def _to_steps(
    num_weights: Sequence[int], losses: Sequence[float | None], scale: float
) -> Steps:
    errors = np.array(losses, float) / scale  # None becomes NaN
    errors = np.where(np.isfinite(errors), errors, np.inf)
    return Steps(np.array(num_weights, float), errors)


def hypervolume(steps: Steps) -> float:
    """Return the decades of error below 1, averaged over the sizes up to `MAX_SIZE`.

    This is the area between the staircase of log10(error) against size and the
    reference point, divided by `MAX_SIZE`. Errors above 1 count as 1.
    """
    bounds = np.append(np.minimum(steps.num_weights, MAX_SIZE), MAX_SIZE)
    decades = -np.log10(np.clip(steps.error, MIN_ERROR, 1.0))
    return float((np.diff(bounds) * decades).sum() / MAX_SIZE)
