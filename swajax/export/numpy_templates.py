"""Parts of an exported Python module, filled in by `str.format`."""

from typing import NamedTuple

from swajax.network.activations import GELU_CUBIC, GELU_SCALE, LEAKY_SLOPE

HEADER = '''\
"""Predictions with {num} weights, found by swajax; needs only NumPy.

A table is a mapping of columns by name (a dict or a data frame), an iterable of rows
that are mappings (csv.DictReader), or an array [N, {columns}] in the order of COLUMNS.
Cells may be text; empty text, NA, None and NaN are missing.

{accuracy}
"""

import numpy as np

TARGET = {target}
'''
REGRESSION = '''

def predict(table):
    """Return one predicted number per row."""
    return _outputs(table)[:, 0]

'''
CLASSIFICATION = '''

def predict(table):
    """Return one predicted class per row."""
    return np.array(CLASSES, dtype=object)[predict_proba(table).argmax(axis=1)]


def predict_proba(table):
    """Return the probabilities of the classes, in the order of CLASSES."""
    scores = _outputs(table)
    if len(CLASSES) == 2:  # the score is the log-odds of the second class
        scores = np.hstack([np.zeros_like(scores), scores])
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)

'''
OUTPUTS = """
def _outputs(table):
    if not hasattr(table, "__getitem__"):  # an iterator of rows
        table = list(table)
    num_rows = len(_column(table, COLUMNS[0]))
{body}
    return np.stack([np.broadcast_to(y, num_rows) for y in [{outputs}]], axis=1)


def _column(table, name):
    if isinstance(table, (list, tuple)):
        return [row[name] for row in table]
    if not isinstance(table, np.ndarray):
        if isinstance(table[name], str) or not hasattr(table[name], "__len__"):
            raise ValueError(f"column {{name!r}} must hold one cell per row")
        return table[name]
    if table.ndim != 2 or table.shape[1] != len(COLUMNS):
        raise ValueError(f"expected shape [N, {{len(COLUMNS)}}], got {{table.shape}}")
    return table[:, COLUMNS.index(name)]


def _is_missing(cell):
    if isinstance(cell, str):
        words = ("", "na", "n/a", "nan", "null", "none", "?")
        return cell.strip().casefold() in words
    return cell is None or type(cell).__name__ in ("NAType", "NaTType")
"""
NUMBER = '''

def _number(table, name, fill, scale, offset):
    """Return a column scaled to [-1, 1] over its training range, as float32."""
    cells = _column(table, name)
    array = np.asarray(cells)
    if array.dtype.kind not in "biuf":
        array = [_to_number(cell, name) for cell in cells]
    array = np.asarray(array, dtype=np.float64)
    scaled = np.where(np.isnan(array), fill, array) * scale + offset
    is_bad = ~(np.abs(scaled) <= 1e30)
    if is_bad.any():
        row = int(np.argmax(is_bad))
        raise ValueError(f"row {row}, column {name!r}: {array[row]:g} is out of range")
    return scaled.astype(np.float32).astype(np.float64)


def _to_number(cell, name):
    if _is_missing(cell):
        return np.nan
    if str(cell).strip().casefold() in ("true", "false"):
        return float(str(cell).strip().casefold() == "true")
    try:
        # Python reads "1_000" and digits of other scripts; training did not.
        is_plain = not isinstance(cell, str) or (cell.isascii() and "_" not in cell)
        return float(cell if is_plain else "")
    except (TypeError, ValueError):
        raise ValueError(f"column {name!r}: {cell!r} is not a number") from None
'''
CATEGORY = """

def _category(table, name, values):
    return np.array([values.get(_to_text(c), 0.0) for c in _column(table, name)])


def _to_text(cell):
    is_number = isinstance(cell, (int, float, np.number)) and not isinstance(cell, bool)
    if not is_number:
        return None if _is_missing(cell) else str(cell).strip()
    number = float(cell)
    return str(int(number)) if number.is_integer() else repr(number)
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
    "relu": NumpyActivation("np.maximum({}, 0.0)"),
}
