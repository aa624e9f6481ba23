"""Python module that needs only NumPy and reads cells as `predict` does."""

from collections.abc import Sequence

from swajax.export.agreement import Agreement, Exported, Options, Rows, draw_rows
from swajax.export.arithmetic import DOUBLE, choose_precision
from swajax.export.numpy_templates import (
    ACTIVATIONS,
    CATEGORY,
    CLASSIFICATION,
    HEADER,
    NUMBER,
    OUTPUTS,
    REGRESSION,
)
from swajax.export.text import WIDTH, wrap, wrap_sum
from swajax.model.fitted import Model
from swajax.model.graph import Graph, Input, format_sum, make_graph


def export(model: Model, rows: Rows, options: Options) -> Exported:
    """Export a module; its arithmetic is compared with `Model.predict` in float64."""
    del options
    choice = choose_precision(model, rows, (DOUBLE,), language="NumPy source")
    source = _write(model, _describe(choice.agreement))
    return Exported(source.encode("ascii"), choice.agreement)


def to_source(model: Model, rows: Rows | None = None) -> str:
    """Return the text of a module with `predict` and, for classes, `predict_proba`.

    Args:
      model: the network to export.
      rows: rows on which the module is compared with `Model.predict`; by default random
        rows within the training ranges.

    Raises:
      ValueError: the module does not agree with `Model.predict`.
    """
    return export(model, rows or draw_rows(model), Options()).data.decode("ascii")


def _write(model: Model, accuracy: str) -> str:
    graph, classes = make_graph(model), model.scaling.classes
    names = model.feature_names
    kinds = {neuron.activation for neuron in graph.neurons}
    outputs = ", ".join(neuron.name for neuron in graph.outputs)
    header = HEADER.format(
        num=model.num_weights,
        columns=len(names),
        target=ascii(model.target),
        accuracy=accuracy,
    )
    parts = [
        header,
        _constant("COLUMNS", names),
        _constant("CLASSES", classes) if classes else "",
        CLASSIFICATION if classes else REGRESSION,
        OUTPUTS.format(body="\n".join(_body(graph, model)), outputs=outputs),
        NUMBER if graph.numbers else "",
        CATEGORY if graph.categories else "",
        *(entry.helper for name, entry in ACTIVATIONS.items() if name in kinds),
    ]
    return "".join(parts)


def _describe(agreement: Agreement) -> str:
    return "\n".join(wrap(f"Accuracy: {agreement.describe()}."))


def _body(graph: Graph, model: Model) -> list[str]:
    """Return one line per input, neuron and output."""
    lines = [f"    {item.name} = {_format_input(item)}" for item in graph.inputs]
    for neuron in (*graph.neurons, *graph.outputs):
        value = ACTIVATIONS[neuron.activation].call.format(format_sum(neuron, repr))
        if neuron in graph.outputs and not model.scaling.classes:
            scaling = model.scaling
            value += f" * {scaling.target_scale!r} + {scaling.target_offset!r}"
        lines += _wrap(neuron.name, value)
    return lines


def _wrap(name: str, value: str) -> list[str]:
    """Return an assignment, in parentheses if it takes more than one line."""
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
        numbers = (column.fill, column.scale, column.offset)
        return f"_number(table, {name}, {', '.join(map(repr, numbers))})"
    pairs = zip(column.categories, item.values, strict=True)
    values = ", ".join(f"{text!a}: {value!r}" for text, value in pairs if value)
    return f"_category(table, {name}, {{{values}}})"


def _constant(name: str, texts: Sequence[str]) -> str:
    lines = "".join(f"    {text!a},\n" for text in texts)
    return f"{name} = (\n{lines})\n"
