"""Float32 and float64 arithmetic of exports, emulated in NumPy.

Float32 cannot hold a small variation on a large offset (a target of 1e8 +- 0.3, seconds
since 1970), nor numbers below 1e-45 or above 3e38. An export therefore uses the first
precision in which it agrees with `Model.predict`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from swajax.data.encoding import Column
from swajax.export.agreement import Agreement, Rows, compare, to_answers
from swajax.model.fitted import Model
from swajax.model.graph import Input, Scale, make_graph, to_scale
from swajax.network.activations import RECORDS


class Precision(NamedTuple):
    """Types of the arithmetic of an export."""

    cells: type[np.floating]  # numbers of the table, their scaling, the prediction
    network: type[np.floating]  # scaled inputs, weights, neurons, scores of classes


SINGLE = Precision(np.float32, np.float32)
MIXED = Precision(np.float64, np.float32)
DOUBLE = Precision(np.float64, np.float64)


class Choice(NamedTuple):
    """The precision of an export, and the reason for it."""

    precision: Precision
    agreement: Agreement  # emulated in NumPy
    reason: str  # why the first precision was rejected; empty if it was chosen


def choose_precision(
    model: Model, rows: Rows, choices: Sequence[Precision], *, language: str
) -> Choice:
    """Return the first precision that agrees with `Model.predict`.

    Args:
      model: the network to export.
      rows: rows on which the precisions are compared.
      choices: precisions that the language offers, the preferred one first.
      language: name of the language, for the message.

    Raises:
      ValueError: none agrees; the message has the reason for the last precision.
    """
    reasons = []
    for precision in choices:
        try:
            outputs = emulate(model, rows.frame, precision)
        except OverflowError as error:
            reasons.append(str(error))
            continue
        answers = to_answers(model, outputs)
        agreement = compare(model, rows, answers, is_emulated=True)
        if agreement.is_close:
            return Choice(precision, agreement, "".join(reasons[:1]))
        text = agreement._replace(is_emulated=False).describe()
        reasons.append(f"in {np.dtype(precision.network).name}, {text}")
    raise ValueError(f"{language} cannot represent this network: {reasons[-1]}")


def emulate(
    model: Model, frame: pd.DataFrame, precision: Precision
) -> Float[np.ndarray, "N O"]:
    """Return the outputs of a model for a table, computed in the given precision.

    Outputs are numbers in the units of the target, log-odds of two classes, or scores.

    Raises:
      OverflowError: a constant exceeds the range of the precision.
    """
    graph, scaling = make_graph(model), model.scaling
    weight_type = precision.network
    with np.errstate(all="ignore"):
        values = {i.name: _scale_input(i, frame, precision) for i in graph.inputs}
        for neuron in (*graph.neurons, *graph.outputs):
            pre = np.full(len(frame), cast(neuron.bias, weight_type))
            for name, weight in neuron.terms:
                pre = pre + cast(weight, weight_type) * values[name]
            values[neuron.name] = RECORDS[neuron.activation].numpy_fn(pre)
        out = np.stack([values[output.name] for output in graph.outputs], axis=1)
        if scaling.classes:
            return out
        scale = cast(scaling.target_scale, precision.cells)
        return out.astype(precision.cells) * scale + cast(
            scaling.target_offset, precision.cells
        )


def cast(number: float, dtype: type[np.floating]) -> np.floating:
    """Round a number to a type.

    Raises:
      OverflowError: the number exceeds the range of the type.
    """
    with np.errstate(over="ignore"):
        rounded = dtype(number)
    if not np.isfinite(rounded):
        raise OverflowError(f"{number:g} is beyond {np.dtype(dtype).name}")
    return rounded


def find_scale(column: Column, precision: Precision) -> Scale:
    """Return the scaling of a numeric column, `(cell - center) * scale + rest`."""
    if precision.cells == np.float32:
        return to_scale(column)
    return Scale(0.0, column.scale, column.offset)


def _scale_input(item: Input, frame: pd.DataFrame, precision: Precision) -> np.ndarray:
    column = item.column
    cells = frame[column.name].to_numpy()
    if column.kind == "category":
        values = dict(zip(column.categories, item.values, strict=True))
        return np.array([values.get(c, 0.0) for c in cells], precision.network)
    cast(column.fill, precision.cells)
    center, scale, rest = find_scale(column, precision)
    center, scale = cast(center, precision.cells), cast(scale, precision.cells)
    scaled = (cells.astype(precision.cells) - center) * scale
    if rest:
        scaled = scaled + cast(rest, precision.cells)
    return scaled.astype(precision.network)
