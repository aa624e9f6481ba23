"""Details of one network on the page of a run."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from swajax.data.problem import Problem
from swajax.export import c99
from swajax.export.agreement import Rows
from swajax.export.formats import FORMATS
from swajax.model.fitted import Model
from swajax.report import charts, diagram, predictions, responses
from swajax.report.markup import Markup, join, show, tag

MAX_ROWS = 300  # number of rows for choosing the digits of a formula
MAX_EXPRESSION = 32  # weights in a SymPy expression; larger expressions take long
MAX_POINTS = 400  # points in a chart
NUM_OPEN = 6  # number of responses outside the folded part


def make_panel(
    model: Model,
    row: Mapping[str, Any],
    parts: Mapping[str, Problem],
    rows: Rows,
    run: Path,
    rows_name: str,
) -> Markup:
    """Return the diagram, predictions, responses, formula and code of a network.

    Args:
      model: the network.
      row: its row in results.json.
      parts: validation rows, and test rows if any, by part.
      rows: the same rows, to compare the C code with the network.
      run: the folder, for commands to copy.
      rows_name: name of the part whose predictions are shown.
    """
    size = row["num_weights"]
    name = "test" if "test" in parts else "valid"
    title = (
        f"{size} {_plural(size, 'weight')}, {row['num_neurons']} "
        f"{_plural(row['num_neurons'], 'neuron')}"
    )
    drawing = tag(
        "div",
        diagram.to_svg(model),
        class_="scroll",
        role="region",
        tabindex="0",
        aria_label="Diagram of the network",
    )
    return tag(
        "article",
        tag("h2", title, tag("span", "picked", class_="badge"))
        if row["is_picked"]
        else tag("h2", title),
        tag("figure", drawing, tag("figcaption", diagram.LEGEND)),
        tag("h3", f"Predictions for {len(parts[name].y):,} {rows_name} rows"),
        _show_predictions(model, parts[name]),
        *_show_responses(model, parts["valid"]),
        tag("h3", "Formula"),
        _show_formula(model, parts["valid"], rows),
        tag("h3", "C code"),
        _show_code(model, f"network_{size}", rows),
        tag("h3", "Predict and export"),
        _show_commands(run, size),
        class_=f"panel only n{size}",
    )


def make_pre(text: str, label: str) -> Markup:
    """Return text with a button to copy it, which JavaScript makes visible."""
    return tag(
        "div",
        tag("button", "Copy", type="button", hidden=True),
        tag("pre", text, tabindex="0", role="region", aria_label=label),
        class_="copy",
    )


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"


def _show_predictions(model: Model, part: Problem) -> Markup:
    if model.scaling.classes:
        return _show_matrix(model, part)
    truth, predicted = predictions.predict_numbers(model, part)[:, :MAX_POINTS]
    target = show(model.target, 40)
    axis = charts.make_axis(np.concatenate([truth, predicted]))
    plot = charts.Plot(axis, axis)
    ends = np.array([axis.low, axis.high])
    chart = charts.draw(
        plot,
        charts.line(plot, ends, ends, "faint"),
        charts.dots(plot, truth, predicted, "one"),
        x_label=f"true {target}",
        y_label=f"predicted {target}",
        description=f"Predicted against true {target}, {len(truth)} rows",
    )
    return _lay_side_by_side([tag("figure", chart)])


def _lay_side_by_side(figures: list[Markup]) -> Markup:
    return tag("div", *figures, class_="charts")


def _show_matrix(model: Model, part: Problem) -> Markup:
    names = [show(name) for name in model.scaling.classes]
    if len(names) > predictions.MAX_CLASSES:
        return tag("p", f"{len(names)} classes are too many for a confusion matrix.")
    counts = predictions.count_classes(model, part)
    totals = np.maximum(counts.sum(axis=1), 1)
    lines = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            *(
                tag("td", str(count), style=f"--share:{count / total:.2f}")
                for count in line.tolist()
            ),
        )
        for name, line, total in zip(names, counts, totals, strict=True)
    ]
    heads = (tag("th", name, scope="col") for name in names)
    table = tag(
        "table",
        tag("caption", "Rows by true class (down) and predicted class (across)"),
        tag("thead", tag("tr", tag("td", "true \\ predicted"), *heads)),
        tag("tbody", *lines),
        class_="matrix",
    )
    return tag(
        "div",
        table,
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label="Confusion matrix",
    )


def _show_responses(model: Model, part: Problem) -> list[Markup]:
    found = responses.find_responses(model, part.x)
    if not found:
        return []
    shown = found[: responses.MAX_COLUMNS]
    outputs = np.concatenate([response.outputs for response in shown])
    axis = charts.make_axis(outputs)
    note = (
        "One column varies over its training range, and the others are fixed at their "
        "median or most frequent category"
    )
    if len(found) > len(shown):
        note += f". The {len(shown)} strongest of {len(found)} are shown"
    drawn = [_show_response(model, response, axis) for response in shown]
    return [
        tag("h3", "Response to each input"),
        tag("p", f"{note}.", class_="note"),
        _name_classes(model),
        _lay_side_by_side(drawn[:NUM_OPEN]),
        *(
            [
                _fold(
                    f"{len(drawn) - NUM_OPEN} more", _lay_side_by_side(drawn[NUM_OPEN:])
                )
            ]
            if drawn[NUM_OPEN:]
            else []
        ),
    ]


def _name_classes(model: Model) -> Markup:
    classes = model.scaling.classes[: responses.MAX_CLASSES]
    if len(classes) < 3:
        return Markup("")
    items = (
        tag("li", show(name), class_=f"key line{number}")
        for number, name in enumerate(classes)
    )
    return tag("ul", *items, class_="legend")


def _show_response(
    model: Model, response: responses.Response, axis: charts.Axis
) -> Markup:
    column, outputs = response.column, response.outputs[:, : responses.MAX_CLASSES]
    num = len(column.categories)
    if column.kind == "category":
        x_axis = charts.Axis(-0.5, num - 0.5, tuple(response.cells.tolist()))
    else:
        x_axis = charts.make_axis(response.cells)
    plot = charts.Plot(x_axis, axis)
    mark = charts.dots if column.kind == "category" else charts.line
    lines = (
        mark(plot, response.cells, values, f"line{number}")
        for number, values in enumerate(outputs.T)
    )
    label = responses.name_output(model)
    chart = charts.draw(
        plot,
        *lines,
        x_label=show(column.name),
        y_label=label,
        description=f"{label} against {show(column.name)}",
        x_names=[show(name, max(2, 48 // num)) for name in column.categories],
    )
    return tag("figure", chart)


def _show_formula(model: Model, part: Problem, rows: Rows) -> Markup:
    try:
        from swajax.export import formula, formula_rounding, formula_text
    except ModuleNotFoundError as error:
        hint = (
            f"Not shown, needs the package {error.name}: pip install 'swajax[export]'"
        )
        return tag("p", hint, class_="note")
    exact = formula.make_formula(model)
    some = Problem(*(leaf[:MAX_ROWS] for leaf in part))
    rounded = formula_rounding.shorten(model, exact, some)
    stated = formula_text.compare_formula(model, rounded.formula, rows)
    latex = formula_text.to_latex(rounded.formula).strip()
    parts = [
        make_pre(formula_text.to_steps(model, rounded, stated), "Formula"),
        _fold("As LaTeX", make_pre(latex, "LaTeX")),
    ]
    if model.num_weights <= MAX_EXPRESSION:
        text = formula_text.to_expressions(rounded.formula)
        parts.append(_fold("As one SymPy expression", make_pre(text, "SymPy")))
    return join(parts)


def _show_code(model: Model, name: str, rows: Rows) -> Markup:
    try:
        source = c99.to_source(model, name, rows)
    except ValueError as error:
        return tag("p", f"{error}.", class_="note")
    title = f"{name}{FORMATS['c'].ending}: {FORMATS['c'].summary}"
    return _fold(title, make_pre(source, "C code"))


def _show_commands(run: Path, size: int) -> Markup:
    folder = shlex.quote(str(run))
    command = f"python -m swajax.export {folder} --size {size}"
    lines = [
        *(
            f"{command} --format {name} --out model{record.ending}"
            for name, record in FORMATS.items()
        ),
        f"python -m swajax.predict {folder} --size {size} --data new.csv "
        "--out predictions.csv",
        "",
        "import swajax",
        f"model = swajax.load({str(run)!r}, {size})",
    ]
    return make_pre("\n".join(lines), "Commands")


def _fold(title: str, inside: Markup) -> Markup:
    return tag("details", tag("summary", title), inside)
