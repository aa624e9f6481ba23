"""C99: one header of inline functions in float32; no heap, no library but math.h."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from swajax.data.encoding import Column
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
from swajax.export.text import to_c_string, to_identifier, to_identifiers, wrap_sum
from swajax.model.fitted import Model
from swajax.model.graph import Graph, Input, Neuron, format_sum, make_graph, to_scale
from swajax.network.activations import LEAKY_SLOPE

GUARD = "H_INCLUDED"  # after the prefix that all names have
MAX_COMMENT = 60  # characters of a name in a comment

# By what they stand for: a column, or a column and a category.
Enumerators = dict[str | tuple[str, str], str]


def to_source(model: Model, name: str) -> str:
    """The text of a header.

    Inputs are the cells of the columns that the network reads: numbers as floats, NAN
    where missing, and categories as integers. Their places and codes are enumerated.

    Args:
      model: what is exported.
      name: begins all names in the header.

    Raises:
      ValueError: a number is beyond float32.
    """
    graph = make_graph(model)
    prefix = to_identifier(name)
    places = {key: f"{prefix.upper()}_{name}" for key, name in _name_all(graph).items()}
    numbers = [f"const float number[{len(graph.numbers)}]"] if graph.numbers else []
    texts = [f"const int category[{len(graph.categories)}]"] if graph.categories else []
    used = ["number"] * bool(numbers) + ["category"] * bool(texts)
    words = {
        "prefix": prefix,
        "num": len(model.scaling.classes),
        "parameters": ", ".join(numbers + texts) or "const float *number",
        "arguments": ", ".join(used) or "number",
        "body": "\n".join(_body(graph, places, prefix)),
        "y1": _unscale(graph.outputs[0], model),
        "slope": to_literal(LEAKY_SLOPE),
    }
    guard = f"{prefix.upper()}_{GUARD}"
    parts = [
        _title(model, name, _use(graph, places, words)),
        f"#ifndef {guard}\n#define {guard}\n\n#include <math.h>\n",
        *_enums(graph, places, prefix.upper()),
        *(helper.format(**words) for helper in _find_helpers(graph)),
        *_functions(model, graph, words),
        "#endif\n",
    ]
    return "\n".join(parts)


def to_literal(number: float) -> str:
    """A float constant that reads back as the nearest float32."""
    with np.errstate(over="ignore"):
        single = np.float32(number)
    if not np.isfinite(single):
        raise ValueError(f"{number:g} is beyond float32, in which C computes")
    return f"{single!s}f"  # NumPy writes the fewest digits that read back the same


def measure_size(source: str) -> int | None:
    """Bytes of object code and constants by gcc -Os on this machine, if it can tell.

    All functions of the header are counted, those of math.h are not.
    """
    gcc, size = shutil.which("gcc"), shutil.which("size")
    if gcc is None or size is None:
        return None
    # What is inline leaves no object code behind until somebody calls it.
    code = re.sub(r"^static inline ", "", source, flags=re.MULTILINE)
    options = ["-std=c99", "-Os", "-fno-asynchronous-unwind-tables"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.c"
        path.write_text(code, encoding="ascii")
        compiled = path.with_suffix(".o")
        command = [gcc, *options, "-c", str(path), "-o", str(compiled)]
        done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603
        if done.returncode:
            return None
        told = subprocess.run(  # noqa: S603
            [size, str(compiled)], check=True, capture_output=True, text=True
        ).stdout
    text, data, bss = told.splitlines()[1].split()[:3]
    return int(text) + int(data) + int(bss)


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


def _title(model: Model, name: str, usage: list[str]) -> str:
    """What it is and how it is called: typical cells, of all columns that are read."""
    target, num = _comment(model.target), model.num_weights
    lines = [f"#include {_comment(f'{name}.h')}", "", *usage]
    return "\n".join(
        [
            f"/* Predicts {target} by {num} weights; written by swajax. For example:",
            "",
            *(f"    {line}".rstrip() for line in lines),
            "",
            "   Link with -lm. */",
        ]
    )


def _use(graph: Graph, places: Enumerators, words: dict[str, object]) -> list[str]:
    """A call, in which names of the table are identifiers only."""
    numbers = [(places[c.name], to_literal(c.fill)) for c in graph.numbers]
    codes = [
        (places[c.name], places[c.name, c.categories[0]]) for c in graph.categories
    ]
    lines = []
    for kind, cells in (("float number", numbers), ("int category", codes)):
        if cells:
            inside = ",\n".join(f"    [{place}] = {cell}" for place, cell in cells)
            lines += [f"const {kind}[] = {{", *inside.split("\n"), "};"]
    call = f"{words['prefix']}_predict({words['arguments'] if lines else 0})"
    if words["num"]:
        return [*lines, f"const char *label = {words['prefix']}_label({call});"]
    return [*lines, f"const float prediction = {call};"]


def _enums(graph: Graph, places: Enumerators, prefix: str) -> list[str]:
    """Where each column stands, and the code of each category."""
    parts = []
    if graph.numbers:
        lines = [
            (places[c.name], f"{_comment(c.name)}, {c.fill:g} where missing")
            for c in graph.numbers
        ]
        parts.append(NUMBERS + _enum(lines))
    if graph.categories:
        lines = [(places[c.name], _comment(c.name)) for c in graph.categories]
        parts.append(CATEGORIES + _enum(lines))
    for column in graph.categories:
        lines = [(places[column.name, c], _comment(c)) for c in column.categories]
        where = f"category[{places[column.name]}]"
        parts.append(f"/* Codes in {where}. */\n" + _enum(lines))
    return parts


def _enum(lines: list[tuple[str, str]]) -> str:
    rows = [
        f"    {name} = {place}{',' if place + 1 < len(lines) else ''} /* {note} */"
        for place, (name, note) in enumerate(lines)
    ]
    return "\n".join(["enum {", *rows, "};", ""])


def _comment(name: str) -> str:
    return to_c_string(name if len(name) <= MAX_COMMENT else f"{name[:MAX_COMMENT]}...")


def _find_helpers(graph: Graph) -> list[str]:
    kinds = {neuron.activation for neuron in graph.neurons}
    helpers = [entry.helper for name, entry in ACTIVATIONS.items() if name in kinds]
    return [FILL] * bool(graph.numbers) + [helper for helper in helpers if helper]


def _body(graph: Graph, places: Enumerators, prefix: str) -> list[str]:
    """Inputs and neurons, a constant each."""
    lines = [] if graph.inputs else ["    (void)number;"]
    for item in graph.inputs:
        value = _format_input(item, places, prefix)
        lines += _wrap(f"const float {item.name} = {value};")
    for neuron in graph.neurons:
        value = ACTIVATIONS[neuron.activation].call.format(
            prefix=prefix, sum=format_sum(neuron, to_literal)
        )
        lines += _wrap(f"const float {neuron.name} = {value};")
    return lines


def _format_input(item: Input, places: Enumerators, prefix: str) -> str:
    column = item.column
    if column.kind == "category":
        return _format_category(column, item.values, places)
    center, scale, rest = map(to_literal, to_scale(column))
    cell = f"{prefix}_fill(number[{places[column.name]}], {to_literal(column.fill)})"
    text = f"({cell} - {center}) * {scale}".replace("- -", "+ ")
    return text if to_scale(column).rest == 0 else f"{text} + {rest}"


def _format_category(
    column: Column, values: tuple[float, ...], places: Enumerators
) -> str:
    cell, text = f"category[{places[column.name]}]", "0.0f"
    for category, value in zip(column.categories, values, strict=True):
        if value:
            code = places[column.name, category]
            text = f"{cell} == {code} ? {to_literal(value)} : {text}"
    return text


def _unscale(output: Neuron, model: Model) -> str:
    text, scaling = format_sum(output, to_literal), model.scaling
    if scaling.classes:
        return text
    scale, offset = to_literal(scaling.target_scale), to_literal(scaling.target_offset)
    return f"({text}) * {scale} + {offset}".replace("+ -", "- ")


def _functions(model: Model, graph: Graph, words: dict[str, object]) -> list[str]:
    if not model.scaling.classes:
        return [REGRESSION.format(**words)]
    labels = ",\n        ".join(map(to_c_string, model.scaling.classes))
    label = LABEL.format(**words, labels=labels)
    if len(graph.outputs) == 1:
        return [TWO_CLASSES.format(**words), label]
    scores = [
        line
        for place, output in enumerate(graph.outputs)
        for line in _wrap(f"score[{place}] = {format_sum(output, to_literal)};")
    ]
    return [MORE_CLASSES.format(**words, scores="\n".join(scores)), label]


def _wrap(line: str) -> list[str]:
    return wrap_sum(line, indent="    ", more="        ")
