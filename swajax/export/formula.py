"""A formula on the cells of a table, with as few digits as the error allows.

`swajax.export.formula_text` writes it down.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import sympy
from jaxtyping import Float, Int

from swajax.data.encoding import Column
from swajax.data.problem import Problem
from swajax.export.text import to_identifiers
from swajax.model.fitted import Model
from swajax.model.graph import Graph, Input, Neuron, make_graph
from swajax.network.activations import RECORDS
from swajax.types import ACTIVATIONS

MAX_CHANGE = 0.01  # of the validation error by rounding, relative
MOST_DIGITS = 17  # enough for any float64

# Names that mean something to SymPy or in the text.
RESERVED = {*dir(sympy), *ACTIVATIONS, "u", "where", "total"}


class Symbol(NamedTuple):
    """What a name in the formula stands for: `slope * symbol + offset` is an input."""

    column: Column
    category: str | None  # the symbol is 1 where the column holds it, else 0
    row: int  # of the inputs
    slope: float
    offset: float


class Formula(NamedTuple):
    """Steps in the order of computation, on cells in the units of the table."""

    symbols: dict[str, Symbol]
    steps: tuple[Neuron, ...]  # neurons, then outputs
    num_outputs: int

    @property
    def outputs(self) -> tuple[Neuron, ...]:
        """The last steps: the target, the log-odds of two classes, or their scores."""
        return self.steps[-self.num_outputs :]


class Rounded(NamedTuple):
    """A formula with shorter constants, and what that does to the validation error."""

    formula: Formula
    digits: Int[np.ndarray, " P"]  # significant ones, of each constant
    change: float | None  # of the error, relative


def make_formula(model: Model) -> Formula:
    """The formula of a model in full precision: scales are part of the constants."""
    graph, scaling = make_graph(model), model.scaling
    symbols, parts = _name_symbols(graph)
    steps = [_fold(neuron, parts) for neuron in graph.neurons]
    names = _name_outputs(model, {*symbols, *(step.name for step in steps)})
    for neuron, name in zip(graph.outputs, names, strict=True):
        bias = neuron.bias * scaling.target_scale + scaling.target_offset
        terms = tuple((value, w * scaling.target_scale) for value, w in neuron.terms)
        steps.append(Neuron(name, "linear", bias, terms))
    return Formula(symbols, _inline(steps), len(graph.outputs))


def shorten(model: Model, formula: Formula, part: Problem) -> Rounded:
    """The fewest digits that change the error on validation rows by at most 1 %.

    An error of 0 may change by 0.01.

    All constants get as many digits as it takes; then each gives up what it can, one
    digit at a time. What rounding the weights of a sum shifts goes into its constant.

    Args:
      model: what the formula was made of.
      formula: in full precision.
      part: validation rows, by which digits are judged.
    """
    cells = _decode(formula, part.x)
    means = {
        name: values.mean()
        for name, values in _run(formula, cells, len(part.y)).items()
    }
    before = _error(formula, cells, part, model)

    def find_change(digits: Int[np.ndarray, " P"]) -> float:
        after = _error(_round(formula, digits, means), cells, part, model)
        return (after - before) / (before or 1.0)

    def is_close(digits: Int[np.ndarray, " P"]) -> bool:
        return abs(find_change(digits)) <= MAX_CHANGE

    digits = np.full(_count(formula), 1)
    while digits[0] < MOST_DIGITS and not is_close(digits):
        digits += 1
    for level in range(digits[0] - 1, 0, -1):
        for place in np.flatnonzero(digits == level + 1):
            digits[place] = level
            if not is_close(digits):
                digits[place] = level + 1
    return Rounded(_round(formula, digits, means), digits, find_change(digits))


def round_to(formula: Formula, digits: int) -> Rounded:
    """All constants with the same number of significant digits."""
    each = np.full(_count(formula), digits)
    return Rounded(_round(formula, each, {}), each, None)


def _name_symbols(
    graph: Graph,
) -> tuple[dict[str, Symbol], dict[str, dict[str, Symbol]]]:
    """Symbols by name; and those that each input is the sum of."""
    pairs = [(item.name, symbol) for item in graph.inputs for symbol in _symbols(item)]
    wanted = [f"{s.column.name} {s.category or ''}" for _, s in pairs]
    taken = {*RESERVED, *(neuron.name for neuron in graph.neurons)}
    found, parts = {}, {item.name: {} for item in graph.inputs}
    for name, (owner, symbol) in zip(to_identifiers(wanted, taken), pairs, strict=True):
        found[name] = parts[owner][name] = symbol
    return found, parts


def _symbols(item: Input) -> list[Symbol]:
    column = item.column
    if column.kind == "numeric":
        return [Symbol(column, None, item.row, column.scale, column.offset)]
    pairs = zip(column.categories, item.values, strict=True)
    return [
        Symbol(column, category, item.row, value, 0.0)
        for category, value in pairs
        if value
    ]


def _name_outputs(model: Model, taken: set[str]) -> tuple[str, ...]:
    classes = model.scaling.classes
    wanted = [f"score {name}" for name in classes] or [model.target]
    wanted = ["log odds"] if len(classes) == 2 else wanted
    return to_identifiers(wanted, {*RESERVED, *taken})


def _fold(neuron: Neuron, parts: Mapping[str, Mapping[str, Symbol]]) -> Neuron:
    """The neuron on cells in their own units."""
    bias, terms = neuron.bias, []
    for value, weight in neuron.terms:
        if value in parts:
            for name, symbol in parts[value].items():
                terms.append((name, weight * symbol.slope))
                bias += weight * symbol.offset
        else:
            terms.append((value, weight))
    return neuron._replace(bias=bias, terms=tuple(terms))


def _inline(steps: list[Neuron]) -> tuple[Neuron, ...]:
    """The steps without linear ones that a single other step reads."""
    num_readers = Counter(name for step in steps for name, _ in step.terms)
    inlined, kept = {}, []
    for step in steps:
        bias, terms = step.bias, Counter()
        for value, weight in step.terms:
            if value in inlined:
                bias += weight * inlined[value].bias
                terms.update({n: weight * w for n, w in inlined[value].terms})
            else:
                terms[value] += weight
        step = step._replace(bias=bias, terms=tuple(terms.items()))
        if step.activation == "linear" and num_readers[step.name] == 1:
            inlined[step.name] = step
        else:
            kept.append(step)
    return tuple(kept)


def _decode(
    formula: Formula, x: Float[np.ndarray, "N I"]
) -> dict[str, Float[np.ndarray, " N"]]:
    """The symbols' values in encoded rows."""
    cells = {}
    for name, symbol in formula.symbols.items():
        inputs = x[:, symbol.row].astype(np.float64)
        if symbol.category is None:
            cells[name] = (inputs - symbol.offset) / symbol.slope
        else:
            cells[name] = (inputs == symbol.slope).astype(np.float64)
    return cells


def _run(
    formula: Formula, cells: Mapping[str, Float[np.ndarray, " N"]], num_rows: int
) -> dict[str, Float[np.ndarray, " N"]]:
    """Cells and the values of all steps."""
    values = dict(cells)
    for step in formula.steps:
        pre = step.bias + sum(weight * values[name] for name, weight in step.terms)
        pre = np.broadcast_to(pre, num_rows)
        values[step.name] = RECORDS[step.activation].numpy_fn(pre)
    return values


def _error(
    formula: Formula,
    cells: Mapping[str, Float[np.ndarray, " N"]],
    part: Problem,
    model: Model,
) -> float:
    """Root mean squared error in units of the target, or log loss."""
    values = _run(formula, cells, len(part.y))
    out = np.stack([values[output.name] for output in formula.outputs], axis=1)
    scaling, y = model.scaling, part.y.astype(np.float64)
    if not scaling.classes:
        truth = y * scaling.target_scale + scaling.target_offset
        squares = np.square(out - truth)[:, 0]
        return float(np.sqrt(np.average(squares, weights=part.weight)))
    if out.shape[1] == 1:
        losses = np.logaddexp(0.0, out)[:, 0] - (y * out)[:, 0]
    else:
        losses = np.logaddexp.reduce(out, axis=1) - (y * out).sum(axis=1)
    return float(np.average(losses, weights=part.weight))


def _round(
    formula: Formula, digits: Int[np.ndarray, " P"], means: Mapping[str, float]
) -> Formula:
    steps, left = [], iter(digits.tolist())
    for step in formula.steps:
        bias, num = step.bias, next(left)
        terms = [(name, _shorten(weight, next(left))) for name, weight in step.terms]
        if bias:  # else the sum would gain a constant
            pairs = zip(step.terms, terms, strict=True)
            bias += sum((a - b) * means.get(name, 0.0) for (name, a), (_, b) in pairs)
        steps.append(step._replace(bias=_shorten(bias, num), terms=tuple(terms)))
    return formula._replace(steps=tuple(steps))


def _count(formula: Formula) -> int:
    """Constants, those that are 0 among them."""
    return sum(1 + len(step.terms) for step in formula.steps)


def _shorten(number: float, digits: int) -> float:
    return float(f"{number:.{digits}g}")
