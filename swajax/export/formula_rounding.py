"""Formulas with the fewest significant digits that the validation error allows."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from swajax.data.problem import Problem
from swajax.export.formula import Formula, decode_cells, evaluate, evaluate_steps
from swajax.model.fitted import Model

MAX_CHANGE = 0.01  # maximum relative change of the validation error by rounding
MAX_DIGITS = 17  # enough for any float64


class Rounded(NamedTuple):
    """A formula with rounded constants, and the change of the validation error."""

    formula: Formula
    digits: Int[np.ndarray, " P"]  # significant digits of each constant
    change: float | None  # relative change of the error; None if not measured


def shorten(model: Model, formula: Formula, valid: Problem) -> Rounded:
    """Round to the fewest digits that change the validation error by at most 1 %.

    An error of 0 may change by 0.01. First, all constants get the same number of
    digits; then single digits are removed, constant by constant. The mean change of a
    sum by its rounded weights is added to its bias.

    Args:
      model: the model of the formula.
      formula: the formula in full precision.
      valid: validation rows on which the error is measured.
    """
    cells, num_rows = decode_cells(formula, valid.x), len(valid.y)
    values = evaluate_steps(formula, cells, num_rows)
    means = {name: value.mean() for name, value in values.items()}
    before = _error(formula, cells, valid, model)

    def find_change(digits: Int[np.ndarray, " P"]) -> float:
        after = _error(_round(formula, digits, means), cells, valid, model)
        return (after - before) / (before or 1.0)

    def is_close(digits: Int[np.ndarray, " P"]) -> bool:
        return abs(find_change(digits)) <= MAX_CHANGE

    digits = np.full(_count(formula), 1)
    while digits[0] < MAX_DIGITS and not is_close(digits):
        digits += 1
    for level in range(digits[0] - 1, 0, -1):
        for index in np.flatnonzero(digits == level + 1):
            digits[index] = level
            if not is_close(digits):
                digits[index] = level + 1
    return Rounded(_round(formula, digits, means), digits, find_change(digits))


def round_to(formula: Formula, digits: int) -> Rounded:
    """Round all constants to the same number of significant digits."""
    each = np.full(_count(formula), digits)
    return Rounded(_round(formula, each, {}), each, None)


def _error(
    formula: Formula,
    cells: Mapping[str, Float[np.ndarray, " N"]],
    valid: Problem,
    model: Model,
) -> float:
    """Return the root mean squared error in units of the target, or the log loss."""
    out = evaluate(formula, cells, len(valid.y))
    scaling, y = model.scaling, valid.y.astype(np.float64)
    if not scaling.classes:
        truth = y * scaling.target_scale + scaling.target_offset
        squares = np.square(out - truth)[:, 0]
        return float(np.sqrt(np.average(squares, weights=valid.weight)))
    if out.shape[1] == 1:
        losses = np.logaddexp(0.0, out)[:, 0] - (y * out)[:, 0]
    else:
        losses = np.logaddexp.reduce(out, axis=1) - (y * out).sum(axis=1)
    return float(np.average(losses, weights=valid.weight))


def _round(
    formula: Formula, digits: Int[np.ndarray, " P"], means: Mapping[str, float]
) -> Formula:
    steps, left = [], iter(digits.tolist())
    for step in formula.steps:
        bias, num = step.bias, next(left)
        terms = [(n, _round_number(weight, next(left))) for n, weight in step.terms]
        if bias:  # without a bias the sum would gain a constant
            pairs = zip(step.terms, terms, strict=True)
            bias += sum((a - b) * means.get(name, 0.0) for (name, a), (_, b) in pairs)
        bias = _round_number(bias, num)
        steps.append(step._replace(bias=bias, terms=tuple(terms)))
    return formula._replace(steps=tuple(steps))


def _count(formula: Formula) -> int:
    """Return the number of constants, including those that are 0."""
    return sum(1 + len(step.terms) for step in formula.steps)


def _round_number(number: float, digits: int) -> float:
    return float(f"{number:.{digits}g}")
