"""A model as a formula on the cells of a table, in full precision.

`formula_rounding` shortens its constants and `formula_text` formats it.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import sympy
from jaxtyping import Float

from swajax.data.encoding import Column
from swajax.export.text import to_identifiers
from swajax.model.fitted import Model
from swajax.model.graph import Graph, Input, Neuron, make_graph
from swajax.network.activations import RECORDS
from swajax.types import ACTIVATIONS

# Names that have a meaning in SymPy or in the text.
RESERVED = {*dir(sympy), *ACTIVATIONS, "u", "where", "total"}


class Symbol(NamedTuple):
    """Cell of the table; `slope * symbol + offset` is an input of the network."""

    column: Column
    category: str | None  # the symbol is 1 if the column holds it, else 0
    row: int  # row of the inputs
    slope: float
    offset: float


class Formula(NamedTuple):
    """Steps in the order of computation, on cells in the units of the table."""

    symbols: dict[str, Symbol]
    steps: tuple[Neuron, ...]  # neurons, then outputs
    num_outputs: int

    @property
    def outputs(self) -> tuple[Neuron, ...]:
        """Last steps: the target, the log-odds of two classes, or scores of classes."""
        return self.steps[-self.num_outputs :]


def make_formula(model: Model) -> Formula:
    """Return the formula of a model; its constants include all scalings."""
    graph, scaling = make_graph(model), model.scaling
    symbols, parts = _name_symbols(graph)
    steps = [_fold(neuron, parts) for neuron in graph.neurons]
    names = _name_outputs(model, {*symbols, *(step.name for step in steps)})
    for neuron, name in zip(graph.outputs, names, strict=True):
        bias = neuron.bias * scaling.target_scale + scaling.target_offset
        terms = tuple((value, w * scaling.target_scale) for value, w in neuron.terms)
        steps.append(Neuron(name, "linear", bias, terms))
    return Formula(symbols, _inline(steps), len(graph.outputs))


def read_cells(
    formula: Formula, frame: pd.DataFrame
) -> dict[str, Float[np.ndarray, " N"]]:
    """Return the values of the symbols in a table without missing numbers."""
    cells = {}
    for name, symbol in formula.symbols.items():
        column = frame[symbol.column.name].to_numpy()
        is_number = symbol.category is None
        cells[name] = (column if is_number else column == symbol.category).astype(float)
    return cells


def decode_cells(
    formula: Formula, x: Float[np.ndarray, "N I"]
) -> dict[str, Float[np.ndarray, " N"]]:
    """Return the values of the symbols in encoded rows."""
    cells = {}
    for name, symbol in formula.symbols.items():
        inputs = x[:, symbol.row].astype(np.float64)
        if symbol.category is None:
            cells[name] = (inputs - symbol.offset) / symbol.slope
        else:
            cells[name] = (inputs == symbol.slope).astype(np.float64)
    return cells


def evaluate_steps(
    formula: Formula, cells: Mapping[str, Float[np.ndarray, " N"]], num_rows: int
) -> dict[str, Float[np.ndarray, " N"]]:
    """Return the values of the symbols and of all steps."""
    values = dict(cells)
    for step in formula.steps:
        pre = step.bias + sum(weight * values[name] for name, weight in step.terms)
        pre = np.broadcast_to(pre, num_rows)
        values[step.name] = RECORDS[step.activation].numpy_fn(pre)
    return values


def evaluate(
    formula: Formula, cells: Mapping[str, Float[np.ndarray, " N"]], num_rows: int
) -> Float[np.ndarray, "N O"]:
    """Return the outputs: numbers, log-odds or scores."""
    values = evaluate_steps(formula, cells, num_rows)
    return np.stack([values[output.name] for output in formula.outputs], axis=1)


def _name_symbols(
    graph: Graph,
) -> tuple[dict[str, Symbol], dict[str, dict[str, Symbol]]]:
    """Return the symbols by name, and the symbols whose sum is each input."""
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
    """Rewrite a neuron on cells in the units of the table."""
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
    """Merge each linear step into the step that reads it, if only one reads it."""
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
