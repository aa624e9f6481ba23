"""Rows for fitting and evaluating networks, and their objective."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from swajax.objectives import Objective, check_objective


class Problem(NamedTuple):
    """Rows for fitting or evaluation, as NumPy or JAX arrays.

    `pad` scales the weights to the sum 1, as `swajax.refine` expects.
    """

    x: Float[Any, "*B N I"]  # inputs, scaled to about unit size
    y: Float[Any, "*B N O"]  # standardised numbers; 0 or 1 for two classes; one-hot
    weight: Float[Any, "*B N"]  # relative


MAX_ROWS = 20_000  # more rows cost time and hardly change the networks found
LARGEST = 1e30  # sums of products of larger numbers overflow in float32


def choose_objective(classes: tuple[str, ...]) -> Objective:
    """Return the objective of a target with these classes; () for a regression."""
    if not classes:
        return "squared"
    return "logistic" if len(classes) == 2 else "softmax"


def pad(problem: Problem) -> Problem:
    """Pad with rows of weight 0 and inputs of 0 to round sizes; weights sum to 1.

    Tables of similar size then share compiled programs.
    """
    num_rows, num_inputs = problem.x.shape
    more_inputs = padded_inputs(num_inputs) - num_inputs
    more = padded_rows(num_rows) - num_rows
    # Larger numbers give an infinite loss, which is rejected later.
    x, y = (np.asarray(a, np.float64) for a in problem[:2])
    x, y = (np.where(np.abs(a) > LARGEST, np.inf, a) for a in (x, y))
    weight = np.asarray(problem.weight, np.float64)
    return Problem(
        np.pad(x, ((0, more), (0, more_inputs))),
        np.pad(y, ((0, more), (0, 0))),
        np.pad(weight / weight.sum(), (0, more)),
    )


def padded_rows(num: int) -> int:
    """Round up to one of four sizes per octave, at least 128.

    Example:
      >>> [padded_rows(num) for num in (1, 128, 129, 200, 300)]
      [128, 128, 160, 224, 320]
    """
    step = 2 ** max(math.ceil(math.log2(num)) - 3, 0)
    return max(128, math.ceil(num / step) * step)


def padded_inputs(num: int) -> int:
    """Round up to a power of two, at least 4."""
    return max(4, 2 ** math.ceil(math.log2(num)))


def thin(problem: Problem, num_rows: int = MAX_ROWS) -> Problem:
    """Return at most `num_rows` rows, drawn at random with a fixed seed."""
    if len(problem.x) <= num_rows:
        return problem
    rows = np.random.default_rng(0).permutation(len(problem.x))[:num_rows]
    return take_rows(problem, rows)


def take_rows(problem: Problem, rows: np.ndarray | slice) -> Problem:
    """Return the rows of an index array, mask or slice."""
    return Problem(*(np.asarray(leaf)[rows] for leaf in problem))


def check_parts(train: Problem, valid: Problem, objective: str) -> None:
    """Check the rows of a search.

    Raises:
      ValueError: the objective is unknown, arrays do not fit together or hold anything
        but finite numbers, the parts have different columns, targets do not fit the
        objective, or weights are negative or all 0.
    """
    check_objective(objective)
    for name, part in (("train", train), ("valid", valid)):
        check_problem(part)
        for leaf, values in part._asdict().items():
            _check_finite(f"{leaf} of {name}", np.asarray(values))
        weight = np.asarray(part.weight)
        if not (weight >= 0).all() or not weight.any():
            raise ValueError(f"weights of {name} must be >= 0, and not all 0")
        _check_targets(name, np.asarray(part.y), objective)
    widths = [(part.x.shape[1], part.y.shape[1]) for part in (train, valid)]
    if widths[0] != widths[1]:
        raise ValueError(
            "train and valid must have the same numbers of inputs and outputs, got "
            f"{widths[0]} and {widths[1]}"
        )


def _check_finite(name: str, values: np.ndarray) -> None:
    if values.dtype.kind in "cOSU" or not np.isfinite(values.astype(np.float64)).all():
        raise ValueError(f"{name} must hold finite real numbers only")


def _check_targets(name: str, y: Float[np.ndarray, "N O"], objective: str) -> None:
    """Check the targets of a classification."""
    if objective == "squared":
        return
    is_one = objective == "logistic"
    if (y.shape[1] == 1) != is_one:
        num = "one output" if is_one else "an output per class"
        raise ValueError(
            f"objective {objective} needs {num}, got y of shape {y.shape} in {name}"
        )
    totals = y.sum(axis=1) if not is_one else 1.0
    if not ((y >= 0) & (y <= 1)).all() or not np.allclose(totals, 1.0):
        allowed = "between 0 and 1" if is_one else "one-hot"
        raise ValueError(f"objective {objective} needs y {allowed} in {name}")


def check_problem(problem: Problem) -> None:
    """Check that the arrays of a problem fit together.

    Raises:
      ValueError: shapes do not fit; the message states them.
    """
    x, y, weight = (np.shape(leaf) for leaf in problem)
    if len(x) != 2 or len(y) != 2 or len(weight) != 1:
        raise ValueError(
            f"x, y and weight must be [N, I], [N, O] and [N], got {x}, {y} and {weight}"
        )
    if not x[0] == y[0] == weight[0] or 0 in x + y:
        raise ValueError(
            "x, y and weight must have the same number of rows, at least one, as first "
            f"axis, got shapes {x}, {y} and {weight}"
        )


def normalise_weights(problem: Problem) -> Problem:
    """Scale the weights to mean 1."""
    weight = np.asarray(problem.weight, np.float64)
    return problem._replace(weight=weight / weight.mean())
