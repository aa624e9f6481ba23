"""The source of Python functions that need nothing but NumPy."""

from collections.abc import Sequence
from typing import NamedTuple

from swajax.export.text import WIDTH, wrap_sum
from swajax.model.fitted import Model
from swajax.model.graph import Graph, Input, format_sum, make_graph
from swajax.network.activations import GELU_CUBIC, GELU_SCALE, LEAKY_SLOPE

HEADER = '''\
"""Predictions by {num} weights, found by swajax; needs nothing but NumPy.

A table is a mapping of columns by name, such as a dict or a data frame, or an array
[N, {columns}] whose columns are COLUMNS. NaN and None stand for missing cells.
"""

import numpy as np

'''

REGRESSION = '''

def predict(table):
    """Predicted numbers, one a row."""
    return _outputs(table)[:, 0]

'''
CLASSIFICATION = '''

def predict(table):
    """Predicted classes, one a row."""
    return np.array(CLASSES, dtype=object)[predict_proba(table).argmax(axis=1)]


def predict_proba(table):
    """Probabilities of the classes, in the order of CLASSES."""
    scores = _outputs(table)
    if len(CLASSES) == 2:  # the score is the log-odds of the second class
        scores = np.hstack([np.zeros_like(scores), scores])
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)

'''
OUTPUTS = """
def _outputs(table):
    num_rows = len(_column(table, COLUMNS[0]))
{body}
    return np.stack([np.broadcast_to(y, num_rows) for y in [{outputs}]], axis=1)


def _column(table, name):
    if not isinstance(table, np.ndarray):
        return table[name]
    if table.ndim != 2 or table.shape[1] != len(COLUMNS):
        raise ValueError(f"expected shape [N, {{len(COLUMNS)}}], got {{table.shape}}")
    return table[:, COLUMNS.index(name)]
"""
NUMBER = """

def _number(table, name, fill):
    cells = np.asarray(_column(table, name), dtype=np.float64)
    return np.where(np.isnan(cells), fill, cells)
"""
CATEGORY = """

def _category(table, name, values):
    return np.array([values.get(_text(c), 0.0) for c in _column(table, name)])


def _text(cell):
    is_whole = isinstance(cell, (float, np.floating)) and float(cell).is_integer()
    return str(int(cell) if is_whole else cell).strip()
"""


class NumpyActivation(NamedTuple):
    """An activation in Python: its call, and the helper function that it needs."""

    call: str
    helper: str = ""


ACTIVATIONS = {
    "sigmoid": NumpyActivation(
        "_sigmoid({})",
        """

def _sigmoid(x):
    return np.exp(-np.logaddexp(0.0, -x))
""",
    ),
    "tanh": NumpyActivation("np.tanh({})"),
    "leaky_relu": NumpyActivation(
        "_leaky_relu({})",
        f"""

def _leaky_relu(x):
    return np.where(x >= 0.0, x, {LEAKY_SLOPE!r} * x)
""",
    ),
    "linear": NumpyActivation("({})"),
    "sin": NumpyActivation("np.sin({})"),
    "square": NumpyActivation("np.square({})"),
    "gelu": NumpyActivation(
        "_gelu({})",
        f"""

def _gelu(x):
    u = x + {GELU_CUBIC!r} * x * x * x
    return 0.5 * x * (1.0 + np.tanh({GELU_SCALE!r} * u))
""",
    ),
}


def to_source(model: Model) -> str:
    """The text of a module with `predict(table)` and, for classes, `predict_proba`."""
    graph = make_graph(model)
    classes, names = model.scaling.classes, model.feature_names
    kinds = {neuron.activation for neuron in graph.neurons}
    outputs = ", ".join(neuron.name for neuron in graph.outputs)
    parts = [
        HEADER.format(num=model.num_weights, columns=len(names)),
        f"TARGET = {model.target!a}\n",
        _constant("COLUMNS", names),
        _constant("CLASSES", classes) if classes else "",
        CLASSIFICATION if classes else REGRESSION,
        OUTPUTS.format(body="\n".join(_body(graph, model)), outputs=outputs),
        NUMBER if graph.numbers else "",
        CATEGORY if graph.categories else "",
        *(entry.helper for name, entry in ACTIVATIONS.items() if name in kinds),
    ]
    return "".join(parts)


def _body(graph: Graph, model: Model) -> list[str]:
    """A line an input, neuron and output; names of the table as Python strings."""
    lines = [f"    {item.name} = {_format_input(item)}" for item in graph.inputs]
    for neuron in (*graph.neurons, *graph.outputs):
        value = ACTIVATIONS[neuron.activation].call.format(format_sum(neuron, repr))
        if neuron in graph.outputs and not model.scaling.classes:
            scaling = model.scaling
            value += f" * {scaling.target_scale!r} + {scaling.target_offset!r}"
        lines += _wrap(neuron.name, value)
    return lines


def _wrap(name: str, value: str) -> list[str]:
    """An assignment, in parentheses if it takes more than one line."""
    line = f"    {name} = {value}"
    if len(line) <= WIDTH:
        return [line]
    indent = " " * 8
    inside = wrap_sum(value, indent=indent, more=indent)
    return [f"    {name} = (", *inside, "    )"]


def _format_input(item: Input) -> str:
    column = item.column
    name = ascii(column.name)
    if column.kind == "numeric":
        sign = "-" if column.offset < 0 else "+"
        return (
            f"_number(table, {name}, {column.fill!r}) * {column.scale!r} "
            f"{sign} {abs(column.offset)!r}"
        )
    pairs = zip(column.categories, item.values, strict=True)
    values = ", ".join(f"{text!a}: {value!r}" for text, value in pairs if value)
    return f"_category(table, {name}, {{{values}}})"


def _constant(name: str, texts: Sequence[str]) -> str:
    lines = "".join(f"    {text!a},\n" for text in texts)
    return f"{name} = (\n{lines})\n"
