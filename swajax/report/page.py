"""One HTML file a run: the front to choose from, and all that belongs to a network.

It needs no network access, and JavaScript only to copy. Which network is shown is
decided by radio buttons and the style sheet.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from swajax.data.problem import Problem
from swajax.io import files, runlog
from swajax.model.fitted import Model
from swajax.model.results import load, read_rows
from swajax.report import charts
from swajax.report.facts import make_facts
from swajax.report.markup import Markup, join, show, tag
from swajax.report.panels import PARTS, make_panel

MEASURES = {
    "rmse": "RMSE",
    "r2": "R\N{SUPERSCRIPT TWO}",
    "log_loss": "log loss",
    "accuracy": "accuracy",
}

WIDE = "wide"  # left out on a phone


def write(run: Path) -> None:
    """Write report.html into the folder of a finished search, out of its files."""
    results = json.loads((run / "results.json").read_bytes())
    sizes = [row["num_weights"] for row in results["front"]]
    models = [load(run, size) for size in sizes]
    text = make_page(
        results, models, read_rows(run), metrics=runlog.read_metrics(run), run=run
    )
    # A name from a table can hold half a character, which UTF-8 has not.
    files.write_bytes(run / "report.html", text.encode("utf-8", "replace"))


def make_page(
    results: Mapping[str, Any],
    models: list[Model],
    rows: Mapping[str, Problem],
    *,
    metrics: list[dict[str, Any]],
    run: Path,
) -> str:
    """The text of the page.

    Args:
      results: what results.json holds.
      models: the networks of the front, in its order.
      rows: validation and perhaps test rows.
      metrics: lines of metrics.jsonl.
      run: the folder, as commands name it.
    """
    front = results["front"]
    pairs = zip(models, front, strict=True)
    parts = {name: _read(f"page.{name}") for name in ("html", "css", "js")}
    digest = hashlib.sha256(parts["js"].encode()).digest()
    sizes = [row["num_weights"] for row in front]
    target, source = show(results["target"], 60), show(results["source"], 80)
    return Template(parts["html"]).substitute(
        script_hash=base64.b64encode(digest).decode(),
        title=join([f"{target} from {source}"]),
        style=parts["css"] + "\n".join(map(_choose, sizes)),
        summary=_summarise(results, models),
        notes=_list_notes(results["notes"]),
        plot=_plot_front(results),
        table=_tabulate(results),
        panels=join(make_panel(model, row, rows, run) for model, row in pairs),
        facts=make_facts(results, models[0], metrics),
        script=parts["js"],
    )


def _read(name: str) -> str:
    return resources.files("swajax.report").joinpath(name).read_text("utf-8")


def _choose(size: int) -> str:
    """The rule that shows what belongs to a network."""
    return f":root:has(#n{size}:checked) .only.n{size} {{ display: revert; }}"


def _summarise(results: Mapping[str, Any], models: list[Model]) -> Markup:
    front = results["front"]
    low, high = front[0]["num_weights"], front[-1]["num_weights"]
    (picked,) = (row["num_weights"] for row in front if row["is_picked"])
    num_rows = sum(results["num_rows"].values())
    kind = f"{len(results['classes'])} classes" if results["classes"] else "a number"
    return tag(
        "p",
        f"Predicts {show(results['target'], 60)} ({kind}) from "
        f"{len(models[0].feature_names)} columns and {num_rows:,} rows. {len(front)} "
        f"networks of {low} to {high} weights were found; picked is the one of ",
        tag("strong", f"{picked} weights"),
        ". Choose another in the table or in the plot.",
    )


def _list_notes(notes: list[str]) -> Markup:
    if not notes:
        return Markup("")
    items = (tag("li", show(note, 1000)) for note in notes)
    return tag("aside", tag("strong", "Notes"), tag("ul", *items), aria_label="Notes")


def _parts(results: Mapping[str, Any]) -> list[str]:
    """Parts of the table that networks were not fitted to."""
    first = results["measures"][0]
    return [p for p in ("valid", "test") if f"{first}_{p}" in results["front"][0]]


def _plot_front(results: Mapping[str, Any]) -> Markup:
    """Error against size; each point has a label of its radio button over it."""
    front, measure = results["front"], results["measures"][0]
    sizes = np.array([row["num_weights"] for row in front])
    errors = {
        part: np.array([row[f"{measure}_{part}"] for row in front])
        for part in _parts(results)
    }
    every = np.concatenate(list(errors.values()))
    is_log = bool(every.min() > 0 and every.max() > 30 * every.min())
    plot = charts.Plot(
        charts.make_axis(sizes, is_integer=True),
        charts.make_axis(every, is_log=is_log),
    )
    marks = [
        mark(plot, sizes, values, part)
        for part, values in errors.items()
        for mark in (charts.line, charts.dots)
    ]
    points = plot.place(sizes, errors["valid"])
    rings = [
        tag("circle", class_=f"ring only n{size}", r=8, cx=x, cy=y)
        for size, (x, y) in zip(sizes.tolist(), points.tolist(), strict=True)
    ]
    chart = charts.draw(
        plot,
        *marks,
        *rings,
        x_label="weights and biases",
        y_label=f"{MEASURES[measure]} of {show(results['target'])}",
        description=f"{MEASURES[measure]} against size; the table has the numbers",
    )
    labels = [
        _cover(size, x, y)
        for size, (x, y) in zip(sizes.tolist(), points.tolist(), strict=True)
    ]
    keys = (tag("li", PARTS[part], class_=f"key {part}") for part in errors)
    legend = tag("ul", *keys, class_="legend")
    return tag("figure", tag("div", chart, *labels, class_="cover"), legend)


def _cover(size: int, x: float, y: float) -> Markup:
    left, top = 100 * x / charts.WIDTH, 100 * y / charts.HEIGHT
    return tag(
        "label",
        for_=f"n{size}",
        title=f"{size} weights",
        style=f"left:{left:.2f}%;top:{top:.2f}%",
    )


def _tabulate(results: Mapping[str, Any]) -> Markup:
    measures, parts = results["measures"], _parts(results)
    keys = [(measure, part) for measure in measures for part in parts]
    groups = [
        tag("th", MEASURES[measure], scope="colgroup", colspan=len(parts))
        for measure in measures
    ]
    heads = [
        tag("th", name, scope="col", rowspan=2, class_=kind)
        for name, kind in (("weights", None), ("neurons", WIDE), ("layers", WIDE))
    ]
    under = [tag("th", PARTS[part], scope="col") for _, part in keys]
    lines = [_tabulate_row(row, keys) for row in results["front"]]
    return tag(
        "table",
        tag("thead", tag("tr", *heads, *groups), tag("tr", *under)),
        tag("tbody", *lines),
        class_="front",
    )


def _tabulate_row(row: Mapping[str, Any], keys: list[tuple[str, str]]) -> Markup:
    size, is_picked = row["num_weights"], row["is_picked"]
    radio = tag(
        "input",
        type="radio",
        name="size",
        id=f"n{size}",
        value=str(size),
        checked=is_picked,
        autocomplete="off",
    )
    badge = tag("span", "picked", class_="badge") if is_picked else ""
    numbers = [_format(row[f"{measure}_{part}"], measure) for measure, part in keys]
    shape = [str(row["num_neurons"]), str(row["depth"])]
    return tag(
        "tr",
        tag("td", tag("label", radio, f" {size} ", badge)),
        *(tag("td", cell, class_=WIDE) for cell in shape),
        *(tag("td", cell) for cell in numbers),
    )


def _format(number: float | None, measure: str) -> str:
    if number is None:  # R2 of a part that is constant
        return "\N{EN DASH}"
    if measure in ("r2", "accuracy"):
        return f"{number:.3f}"
    return f"{number:#.4g}".rstrip(".")
