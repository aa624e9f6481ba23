"""C99 header of inline functions that uses no heap and needs only math.h.

Arithmetic is in float if that agrees with `Model.predict`. Otherwise the numbers of the
table and the prediction are double, and the network too if that is not enough.
"""

from typing import NamedTuple

import numpy as np

from swajax.data.encoding import Column
from swajax.export.agreement import Exported, Options, Rows, draw_rows
from swajax.export.arithmetic import (
    DOUBLE,
    MIXED,
    SINGLE,
    Choice,
    Precision,
    choose_precision,
    find_scale,
)
from swajax.export.c99_size import measure_size
from swajax.export.c99_templates import (
    ACTIVATIONS,
    CATEGORIES,
    FILL,
    LABEL,
    MORE_CLASSES,
    NUMBERS,
    REGRESSION,
    TWO_CLASSES,
)
from swajax.export.text import (
    WIDTH,
    to_c_literal,
    to_c_string,
    to_identifier,
    to_identifiers,
    wrap,
    wrap_sum,
)
from swajax.model.fitted import Model
from swajax.model.graph import Graph, Input, Neuron, format_sum, make_graph
from swajax.network.activations import GELU_CUBIC, GELU_SCALE, LEAKY_SLOPE

GUARD = "H_INCLUDED"  # suffix of the include guard
MAX_COMMENT = 60  # maximum number of characters of a name in a comment
TYPES = {np.float32: "float", np.float64: "double"}

# Enumerators by column name, or by column name and category.
Enumerators = dict[str | tuple[str, str], str]


class _Header(NamedTuple):
    """Values that the parts of a header share."""

    model: Model
    graph: Graph
    precision: Precision
    enumerators: Enumerators
    words: dict[str, object]  # words that the templates insert

    def cell(self, number: float) -> str:
        """Return a constant of the type of the table's numbers."""
        return to_c_literal(number, self.precision.cells)

    def weight(self, number: float) -> str:
        """Return a constant of the type of the network."""
        return to_c_literal(number, self.precision.network)


def export(model: Model, rows: Rows, options: Options) -> Exported:
    """Export a header; the note has the size of its object code."""
    choice = _choose(model, rows)
    source = _write(model, options.name, choice)
    size = measure_size(source)
    note = "size of the object code unknown without gcc"
    if size is not None:
        note = f"{size:,} bytes of object code (gcc -Os, without math.h)"
    return Exported(source.encode("ascii"), choice.agreement, note)


def to_source(model: Model, name: str, rows: Rows | None = None) -> str:
    """Return the text of a header.

    Inputs are the cells of the columns that the network reads: numbers (NAN if missing)
    and categories as integers. Their indices and codes are enumerators.

    Args:
      model: the network to export.
      name: prefix of all names in the header.
      rows: rows on which the arithmetic is compared with `Model.predict`; by default
        random rows within the training ranges.

    Raises:
      ValueError: no precision of C agrees with `Model.predict`.
    """
    return _write(model, name, _choose(model, rows or draw_rows(model)))


def _choose(model: Model, rows: Rows) -> Choice:
    return choose_precision(model, rows, (SINGLE, MIXED, DOUBLE), language="C")


def _write(model: Model, name: str, choice: Choice) -> str:
    graph, prefix, precision = make_graph(model), to_identifier(name), choice.precision
    upper = prefix.upper()
    enumerators = {k: f"{upper}_{name}" for k, name in _name_all(graph).items()}
    header = _Header(model, graph, precision, enumerators, {})
    cell, real = (TYPES[kind] for kind in precision)
    numbers = [f"const {cell} number[{len(graph.numbers)}]"] if graph.numbers else []
    texts = [f"const int category[{len(graph.categories)}]"] if graph.categories else []
    used = ["number"] * bool(numbers) + ["category"] * bool(texts)
    header.words.update(
        prefix=prefix,
        num=len(model.scaling.classes),
        cell=cell,
        real=real,
        f="f" if real == "float" else "",
        parameters=", ".join(numbers + texts) or f"const {cell} *number",
        arguments=", ".join(used) or "number",
        body="",
        result="\n".join(_wrap(f"return {_unscale(graph.outputs[0], header)};")),
        slope=header.weight(LEAKY_SLOPE),
        zero=header.weight(0.0),
        one=header.weight(1.0),
        half=header.weight(0.5),
        gelu_scale=header.weight(GELU_SCALE),
        gelu_cubic=header.weight(GELU_CUBIC),
    )
    header.words["body"] = "\n".join(_body(header))
    guard = f"{upper}_{GUARD}"
    parts = [
        _title(header, name, choice),
        f"#ifndef {guard}\n#define {guard}\n\n#include <math.h>\n",
        *_enums(header),
        *(helper.format(**header.words) for helper in _find_helpers(graph)),
        *_functions(header),
        "#endif\n",
    ]
    return "\n".join(parts)


def _name_all(graph: Graph) -> Enumerators:
    wanted = {column.name: f"number {column.name}" for column in graph.numbers}
    wanted |= {column.name: f"category {column.name}" for column in graph.categories}
    wanted |= {
        (column.name, category): f"{column.name} {category}"
        for column in graph.categories
        for category in column.categories
    }
    names = (text.upper() for text in wanted.values())
    chosen = to_identifiers(names, taken={GUARD})
    return dict(zip(wanted, chosen, strict=True))


def _title(header: _Header, name: str, choice: Choice) -> str:
    """Return the comment at the top: summary, accuracy, and a call as an example."""
    target, num = _comment(header.model.target), header.model.num_weights
    lines = [f"#include {_comment(f'{name}.h')}", "", *_use(header)]
    notes = wrap(f"Accuracy: {choice.agreement.describe()}.", width=WIDTH - 3)
    if choice.reason:
        notes += wrap(f"Float is not enough: {choice.reason}.", width=WIDTH - 3)
    return "\n".join(
        [
            f"/* Predicts {target} with {num} weights; written by swajax.",
            *(f"   {line}" for line in notes),
            "   Example:",
            "",
            *(f"    {line}".rstrip() for line in lines),
            "",
            "   Link with -lm. */",
        ]
    )


def _use(header: _Header) -> list[str]:
    """Return a call with typical cells; names of the table become identifiers."""
    graph, names, words = header.graph, header.enumerators, header.words
    numbers = [(names[c.name], header.cell(c.fill)) for c in graph.numbers]
    codes = [(names[c.name], names[c.name, c.categories[0]]) for c in graph.categories]
    lines = []
    for kind, cells in ((f"{words['cell']} number", numbers), ("int category", codes)):
        if cells:
            inside = ",\n".join(f"    [{index}] = {cell}" for index, cell in cells)
            lines += [f"const {kind}[] = {{", *inside.split("\n"), "};"]
    call = f"{words['prefix']}_predict({words['arguments'] if lines else 0})"
    if words["num"]:
        return [*lines, f"const char *label = {words['prefix']}_label({call});"]
    return [*lines, f"const {words['cell']} prediction = {call};"]


def _enums(header: _Header) -> list[str]:
    """Return the indices of the columns and the codes of the categories."""
    parts, graph, names = [], header.graph, header.enumerators
    if graph.numbers:
        lines = [
            (names[c.name], f"{_comment(c.name)}, {c.fill:g} where missing")
            for c in graph.numbers
        ]
        parts.append(NUMBERS + _enum(lines))
    if graph.categories:
        lines = [(names[c.name], _comment(c.name)) for c in graph.categories]
        parts.append(CATEGORIES + _enum(lines))
    for column in graph.categories:
        lines = [(names[column.name, c], _comment(c)) for c in column.categories]
        where = f"category[{names[column.name]}]"
        parts.append(f"/* Codes in {where}. */\n" + _enum(lines))
    return parts


def _enum(lines: list[tuple[str, str]]) -> str:
    rows = [
        f"    {name} = {index}{',' if index + 1 < len(lines) else ''} /* {note} */"
        for index, (name, note) in enumerate(lines)
    ]
    return "\n".join(["enum {", *rows, "};", ""])


def _comment(name: str) -> str:
    return to_c_string(name if len(name) <= MAX_COMMENT else f"{name[:MAX_COMMENT]}...")


def _find_helpers(graph: Graph) -> list[str]:
    kinds = {neuron.activation for neuron in graph.neurons}
    helpers = [entry.helper for name, entry in ACTIVATIONS.items() if name in kinds]
    return [FILL] * bool(graph.numbers) + [helper for helper in helpers if helper]


def _body(header: _Header) -> list[str]:
    """Return one constant per input and neuron."""
    graph, real = header.graph, header.words["real"]
    lines = [] if graph.inputs else ["    (void)number;"]
    for item in graph.inputs:
        lines += _wrap(f"const {real} {item.name} = {_format_input(item, header)};")
    for neuron in graph.neurons:
        value = ACTIVATIONS[neuron.activation].call.format(
            **header.words, sum=format_sum(neuron, header.weight)
        )
        lines += _wrap(f"const {real} {neuron.name} = {value};")
    return lines


def _format_input(item: Input, header: _Header) -> str:
    column = item.column
    if column.kind == "category":
        return _format_category(column, item.values, header)
    scaling = find_scale(column, header.precision)
    center, scale, rest = map(header.cell, scaling)
    cell = f"number[{header.enumerators[column.name]}]"
    cell = f"{header.words['prefix']}_fill({cell}, {header.cell(column.fill)})"
    cell = f"({cell} - {center})" if scaling.center else cell
    text = f"{cell} * {scale} + {rest}" if scaling.rest else f"{cell} * {scale}"
    text = text.replace("- -", "+ ").replace("+ -", "- ")
    return f"(float)({text})" if header.precision == MIXED else text


def _format_category(column: Column, values: tuple[float, ...], header: _Header) -> str:
    cell, text = f"category[{header.enumerators[column.name]}]", header.weight(0.0)
    for category, value in zip(column.categories, values, strict=True):
        if value:
            code = header.enumerators[column.name, category]
            text = f"{cell} == {code} ? {header.weight(value)} : {text}"
    return text


def _unscale(output: Neuron, header: _Header) -> str:
    text, scaling = format_sum(output, header.weight), header.model.scaling
    if scaling.classes:
        return text
    scale, offset = header.cell(scaling.target_scale), scaling.target_offset
    double = "(double)" if header.precision == MIXED else ""
    return f"{double}({text}) * {scale} + {header.cell(offset)}".replace("+ -", "- ")


def _functions(header: _Header) -> list[str]:
    words, classes = header.words, header.model.scaling.classes
    if not classes:
        return [REGRESSION.format(**words)]
    labels = ",\n        ".join(map(to_c_string, classes))
    label = LABEL.format(**words, labels=labels)
    if len(header.graph.outputs) == 1:
        return [TWO_CLASSES.format(**words), label]
    scores = [
        line
        for index, output in enumerate(header.graph.outputs)
        for line in _wrap(f"score[{index}] = {format_sum(output, header.weight)};")
    ]
    return [MORE_CLASSES.format(**words, scores="\n".join(scores)), label]


def _wrap(line: str) -> list[str]:
    return wrap_sum(line, indent="    ", more="        ")
